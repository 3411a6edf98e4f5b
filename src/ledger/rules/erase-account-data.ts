/**
 * EraseAccountData: the personal data of a closed account are erased. The rule resets the account's own settings and
 * states in the chain that, why and by whom the rest is erased; once the entry is durable, the SQL function
 * `erase_account_data` does that.
 */
import type { Book } from '../book.ts';
import type { Origin } from '../entry.ts';
import { accountNotClosed, purchaseUnsettled, reservationActive } from '../failures.ts';

export type EraseAccountData = {
  readonly kind: 'EraseAccountData';
  /** Why, for people. */
  readonly reason: string;
};

/** The unit of work has loaded every reservation and purchase that may be in the way: see `loadUnfinished`. */
export function eraseAccountData(book: Book, { reason }: EraseAccountData, origin: Origin) {
  const { account, reservations, purchases } = book;
  if (account.state !== 'CLOSED') return accountNotClosed(account.accountId);
  const active = [...reservations.values()].find(({ state }) => state === 'ACTIVE');
  if (active) return reservationActive(active);
  const unsettled = purchases.find(({ state }) => state === 'PENDING' || state === 'MISMATCHED');
  if (unsettled) return purchaseUnsettled(unsettled);

  account.displayName = '';
  account.labels = {};
  account.autoTopUp = null;
  // They name values of labels. Their counters are erased with the rest.
  account.budgets = null;
  if (account.suspension) account.suspension = { ...account.suspension, reason: '' };
  book.changes.settings = true;
  const entry = book.post(
    {
      kind: 'ERASE_ACCOUNT_DATA',
      // Events before the entry are erased with the entries before it.
      details: { events: `${account.eventCount}` },
      personal: { reason },
    },
    origin,
  );
  return { kind: 'EraseAccountData', entrySeq: entry.seq } as const;
}
