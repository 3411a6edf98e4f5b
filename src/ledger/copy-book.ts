/**
 * Copies a Book: what is decided on the copy changes nothing of the original. Commands that take effect together or
 * not at all are decided on one.
 */
import { Book, copySet } from './book.ts';
import type { BudgetCounters } from './budget.ts';

export function copyBook(book: Book): Book {
  const copyOf = copier();
  const loaded = {
    account: copyOf(book.account),
    plans: book.plans,
    grants: book.grants.map(copyOf),
    // It marks a place in the burn order, and never changes.
    loadedUpTo: book.loadedUpTo,
    reservations: Array.from(book.reservations.values(), copyOf),
    purchases: book.purchases.map(copyOf),
    customPacks: book.customPacks.map(copyOf),
    refundables: Array.from(book.refundables.values(), copyOf),
    budgetCounters: book.budgetCounters && copyCounters(book.budgetCounters, copyOf),
    nextReservationExpiry: book.nextReservationExpiry,
    plansLeft: book.plansLeft,
    usageSince: book.usageSince,
  };
  const copy = new Book(loaded, book.now, book.newId);
  copy.plan = book.plan;
  copy.loadedSeq = book.loadedSeq;
  copy.remainingSeen = book.remainingSeen;
  copy.hasLimitedGrants = book.hasLimitedGrants;
  copyChanges(book, copy, copyOf);
  return copy;
}

/** Entries, events and statements do not change once they are written. */
function copyChanges({ changes }: Book, copy: Book, copyOf: Copier) {
  Object.assign(copy.changes, {
    account: changes.account,
    settings: changes.settings,
    entries: [...changes.entries],
    grants: changes.grants.copy(copyOf),
    grantTerms: copySet(changes.grantTerms, copyOf),
    reservations: changes.reservations.copy(copyOf),
    purchases: changes.purchases.copy(copyOf),
    customPacks: new Map(Array.from(changes.customPacks, ([id, pack]) => [id, copyOf(pack)])),
    refundables: changes.refundables.copy(copyOf),
    budgetCounters: copySet(changes.budgetCounters, copyOf),
    events: [...changes.events],
    statements: [...changes.statements],
  } satisfies Book['changes']);
}

const copyCounters = (counters: BudgetCounters, copyOf: Copier): BudgetCounters =>
  new Map(Array.from(counters, ([name, counter]) => [name, copyOf(counter)]));

type Copier = <Item extends object>(item: Item) => Item;

/** Copies each object once. What an object holds is replaced when it changes, and never changed itself. */
function copier(): Copier {
  const copies = new Map<object, object>();
  return <Item extends object>(item: Item): Item => {
    const known = copies.get(item);
    if (known) return known as Item;
    const copy = { ...item };
    copies.set(item, copy);
    return copy;
  };
}
