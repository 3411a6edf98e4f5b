/**
 * ImportAccount: opens an account as another system has kept it. Its entries are OPEN_ACCOUNT, a GRANT or
 * PURCHASE for each grant and purchase, oldest first, and IMPORT. A GRANT or PURCHASE issues all its credits and
 * says what became of them before the running month; IMPORT uses what the running month has used, so that its
 * statement counts that and nothing else.
 */
import type { Plan } from '../../pricing/plan.ts';
import type { PricedUsage } from '../../pricing/price.ts';
import type { Account } from '../account.ts';
import { OVERAGE } from '../allocation/allocation.ts';
import { allowancePeriodAt } from '../allowance.ts';
import type { Book } from '../book.ts';
import type { Move, Origin } from '../entry.ts';
import { instantText } from '../grant-details.ts';
import { checkImport } from '../import/check-import.ts';
import { type ImportAccount, type ImportedUsage, usedThisMonth } from '../import/import-account.ts';
import { creditsLeft, itemsOf } from '../import/items.ts';
import { findNextDueAt } from '../settle.ts';
import { updateStatementDueAt } from '../statement-closing.ts';
import { displayName, newAccount, openingZone } from './account.ts';

/** The account before its rule has run. The period of its allowance that is running was granted elsewhere. */
export function importedAccount(
  accountId: string,
  command: ImportAccount,
  plan: Plan,
  now: number,
): Account {
  const { openedAt } = command;
  const { allowance } = plan.terms;
  const account = { ...newAccount(accountId, command, plan, openedAt), lastAt: now };
  return {
    ...account,
    allowanceDueAt: allowance ? allowancePeriodAt(account, allowance, now).until : null,
  };
}

export function importAccount(book: Book, command: ImportAccount, origin: Origin) {
  const { account, now } = book;
  const items = itemsOf(book, command);
  const left = items.reduce((sum, item) => sum + creditsLeft(item, now), 0n);
  const failure = checkImport(book, command, left);
  if (failure) return failure;

  book.changes.account = true;
  updateStatementDueAt(book);
  const { seq: entrySeq } = book.post(
    {
      kind: 'OPEN_ACCOUNT',
      details: { opened_at: instantText(account.openedAt), ...openingZone(account) },
      labels: account.labels,
      ...displayName(account.displayName),
    },
    origin,
  );
  const used: Move[] = [];
  for (const { post, spentThisMonth: credits } of items) {
    const { grantId } = post(origin);
    if (credits > 0n) used.push({ from: 'available', to: 'consumed', grantId, credits });
  }
  postImport(book, command, used, origin);
  account.dueAt = findNextDueAt(book);
  // As of an account that is opened, no level is crossed.
  book.remainingSeen = account.remaining;
  return { kind: 'ImportAccount', entrySeq } as const;
}

/** `used`: credits of grants that the running month has used. */
function postImport(book: Book, command: ImportAccount, used: readonly Move[], origin: Origin) {
  const { month, system, file, reference } = command;
  const { allowanceDueAt } = book.account;
  const overage = month?.overage ?? 0n;
  book.post(
    {
      kind: 'IMPORT',
      moves: [
        ...used,
        ...(overage > 0n
          ? [{ from: 'overage', to: 'consumed', grantId: OVERAGE, credits: overage } as const]
          : []),
      ],
      credits: usedThisMonth(command),
      usages: (month?.usage ?? []).flatMap((usage) => pricedUsages(book, usage)),
      details: {
        system,
        ...(file && { file }),
        ...(allowanceDueAt !== null && { period_end: instantText(allowanceDueAt) }),
      },
      reference,
    },
    origin,
  );
}

/**
 * Usages of an operation that together have its count and its credits exactly: where these do not divide, some
 * cost one credit more than the others.
 */
function pricedUsages(
  { plan }: Book,
  { operation, count, credits }: ImportedUsage,
): readonly PricedUsage[] {
  const lower = credits / count;
  const dearer = credits % count;
  const billable = plan.rateCard.operations.get(operation)?.billable ?? true;
  return [
    { units: count - dearer, unitCredits: lower },
    { units: dearer, unitCredits: lower + 1n },
  ].flatMap(({ units, unitCredits }) =>
    units === 0n
      ? []
      : {
          usage: { operation, count: units, quantities: new Map(), attributes: new Map() },
          unitCredits,
          credits: units * unitCredits,
          billable,
          components: [],
        },
  );
}
