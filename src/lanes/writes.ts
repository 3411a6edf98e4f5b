/** Collects what the Books of a unit of work changed, table by table. */
import type { Book } from '../ledger/book.ts';
import type { LedgerEvent } from '../ledger/event.ts';
import { addToSeal, eventDataHash, eventHash } from '../ledger/event-hash.ts';
import { seal } from '../ledger/hash-chain.ts';
import { isOver, type Reservation } from '../ledger/reservation.ts';
import type { Shadow } from '../ledger/shadow/shadow.ts';
import type { Statement } from '../ledger/statement.ts';
import { newSalt } from '../new-id.ts';
import type { ShadowWrites, Writes } from '../store/save.ts';
import type { StoredReservation } from '../store/tables/reservations.ts';
import { sealedStatement } from '../store/tables/statements.ts';
import type { LoadedUnit } from './loaded-unit.ts';

/** Seals the new entries and gives every changed account its next version. Call it once. */
export function writesOf(unit: LoadedUnit): Writes {
  const writes: Writes = {
    accounts: { added: [], changed: [], settingsChanged: [] },
    grants: { added: [], changed: [], termsChanged: [] },
    reservations: { added: [], changed: [], ended: [] },
    purchases: { added: [], changed: [] },
    customPacks: [],
    refundables: [],
    budgetCounters: [],
    entries: [],
    events: [],
    statements: [],
    shadows: null,
  };
  for (const book of unit.books.values()) {
    const hashBefore = book.account.lastHash;
    sealEvents(book, writes);
    sealEntries(book, writes);
    addAccount(book, hashBefore, unit, writes);
    addOthers(book, writes);
  }
  if (unit.shadows) addShadows(unit.shadows, writes);
  // Updates lock the rows of cached accounts: in one order everywhere, that of lockAccounts.
  writes.accounts.changed.sort((a, b) => (a.account.accountId < b.account.accountId ? -1 : 1));
  return writes;
}

/** Events are covered by the newest entry of the unit of work. Without one, the account's row has their hash. */
function sealEvents(book: Book, writes: Writes) {
  const { account, changes } = book;
  if (changes.events.length === 0 && account.eventsHash === null) return;
  let seal = account.eventsHash;
  for (const draft of changes.events) {
    const event = { ...draft, eventId: book.newId() };
    const closed = event.type === 'statement.closed' ? statementOf(book, event) : null;
    const salt = newSalt();
    const dataHash = eventDataHash(event.data, salt);
    const hash = eventHash(event, dataHash, closed && sealedStatement(closed));
    writes.events.push({ ...event, salt, dataHash, hash });
    seal = addToSeal(seal, hash);
  }
  const newest = changes.entries.at(-1);
  if (newest && seal !== null) newest.sealedEvents = { upTo: account.eventCount, hash: seal };
  const left = newest ? null : seal;
  if (left === account.eventsHash) return;
  account.eventsHash = left;
  changes.settings = true;
}

/** The statement that the event says was closed. */
const statementOf = ({ changes }: Book, { data }: LedgerEvent): Statement | null =>
  changes.statements.find(({ month }) => month === data['month']) ?? null;

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
  append(writes.grants.termsChanged, changes.grantTerms);
  addReservations(book, writes);
  append(writes.purchases.added, changes.purchases.added);
  append(writes.purchases.changed, changes.purchases.changed);
  append(writes.refundables, changes.refundables.changed);
  append(writes.budgetCounters, changes.budgetCounters);
  for (const pack of changes.customPacks.values()) writes.customPacks.push(pack);
  writes.statements.push(...changes.statements);
}

/** One that began and ended in the same unit of work never has a row. */
function addReservations({ changes: { reservations } }: Book, writes: Writes) {
  for (const reservation of reservations.added)
    if (isStored(reservation)) writes.reservations.added.push(reservation);
  for (const reservation of reservations.changed)
    if (isStored(reservation)) writes.reservations.changed.push(reservation);
    else writes.reservations.ended.push(reservation);
}

function addShadows(shadows: ReadonlyMap<string, Shadow>, writes: Writes) {
  const added: ShadowWrites = { use: [], decisions: [], reservations: [] };
  for (const { use, decisions, reservations, changedReservations } of shadows.values()) {
    if (decisions.length === 0 && changedReservations.size === 0) continue;
    added.use.push(use);
    added.decisions.push(...decisions);
    for (const reservationId of changedReservations) {
      const changed = reservations.get(reservationId);
      if (changed) added.reservations.push(changed);
    }
  }
  writes.shadows = added;
}

const isStored = (reservation: Reservation): reservation is StoredReservation =>
  !isOver(reservation);

function append<Item>(list: Item[], more: ReadonlySet<Item>) {
  if (more.size > 0) for (const item of more) list.push(item);
}
