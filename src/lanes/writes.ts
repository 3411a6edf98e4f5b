/** Collects what the Books of a unit of work changed, table by table. */
import type { Book } from '../ledger/book.ts';
import { seal } from '../ledger/hash-chain.ts';
import { isOver, type Reservation } from '../ledger/reservation.ts';
import { newSalt } from '../new-id.ts';
import type { Writes } from '../store/save.ts';
import type { StoredReservation } from '../store/tables/reservations.ts';
import type { LoadedUnit } from './loaded-unit.ts';

/** Seals the new entries and gives every changed account its next version. Call it once. */
export function writesOf(unit: LoadedUnit): Writes {
  const writes: Writes = {
    accounts: { added: [], changed: [], settingsChanged: [] },
    grants: { added: [], changed: [] },
    reservations: { added: [], changed: [], ended: [] },
    purchases: { added: [], changed: [] },
    customPacks: [],
    refundables: [],
    entries: [],
    events: [],
    statements: [],
  };
  for (const book of unit.books.values()) {
    const hashBefore = book.account.lastHash;
    sealEntries(book, writes);
    addAccount(book, hashBefore, unit, writes);
    addOthers(book, writes);
  }
  // Updates lock the rows of cached accounts: in one order everywhere, that of lockAccounts.
  writes.accounts.changed.sort((a, b) => (a.account.accountId < b.account.accountId ? -1 : 1));
  return writes;
}

function sealEntries({ account, changes }: Book, { entries }: Writes) {
  for (const entry of changes.entries) {
    const sealed = seal(entry, account.lastHash, newSalt);
    account.lastHash = sealed.hash;
    entries.push(sealed);
  }
}

function addAccount(
  book: Book,
  hashBefore: Uint8Array,
  { opened, cached, plansRevision }: LoadedUnit,
  { accounts }: Writes,
) {
  const { account, changes } = book;
  if (opened.has(book)) {
    accounts.added.push(account);
    return;
  }
  if (book.hasChanges) {
    account.version += 1n;
    const isCached = cached.has(account.accountId);
    accounts.changed.push({ account, cachedHash: isCached ? hashBefore : null, plansRevision });
  }
  if (changes.settings) accounts.settingsChanged.push(account);
}

function addOthers(book: Book, writes: Writes) {
  const { changes } = book;
  append(writes.grants.added, changes.grants.added);
  append(writes.grants.changed, changes.grants.changed);
  addReservations(book, writes);
  append(writes.purchases.added, changes.purchases.added);
  append(writes.purchases.changed, changes.purchases.changed);
  append(writes.refundables, changes.refundables.changed);
  for (const pack of changes.customPacks.values()) writes.customPacks.push(pack);
  writes.statements.push(...changes.statements);
  for (const event of changes.events) writes.events.push({ ...event, eventId: book.newId() });
}

/** One that began and ended in the same unit of work never has a row. */
function addReservations({ changes: { reservations } }: Book, writes: Writes) {
  for (const reservation of reservations.added)
    if (isStored(reservation)) writes.reservations.added.push(reservation);
  for (const reservation of reservations.changed)
    if (isStored(reservation)) writes.reservations.changed.push(reservation);
    else writes.reservations.ended.push(reservation);
}

const isStored = (reservation: Reservation): reservation is StoredReservation =>
  !isOver(reservation);

function append<Item>(list: Item[], more: ReadonlySet<Item>) {
  if (more.size > 0) for (const item of more) list.push(item);
}
