/**
 * The history of an account: one allowance for each month it was open under a plan that gives one, and
 * every credit that expired, of the lot and on the day that the usage log says. And its last balance.
 */
import type { Scrip } from '../../src/client.ts';
import { Bucket_Kind, type Entry, Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { dayOf } from './calendar.ts';
import { agree } from './disagreement.ts';
import type { LedgerOfUsage } from './ledger-of-usage.ts';
import { addTo, type Lot } from './lots.ts';

export type History = {
  entries: number;
  allowances: number;
  /** Packs that expire: with credits left, and spent before. */
  packsExpired: number;
  packsSpent: number;
  /** Packs that never expire. */
  packsKept: number;
  lateCommits: number;
  /** Breakage of packs, of allowances, and of refunds that came after the end of a pack. */
  brokenPacks: bigint;
  brokenAllowances: bigint;
  brokenRefunds: bigint;
};

export const noHistory = (): History => ({
  entries: 0,
  allowances: 0,
  packsExpired: 0,
  packsSpent: 0,
  packsKept: 0,
  lateCommits: 0,
  brokenPacks: 0n,
  brokenAllowances: 0n,
  brokenRefunds: 0n,
});

/** Breakage of refunds has been consumed before: its moves name no grant. */
const REFUNDS = '0';

const MONTH = /^\d{4}-\d{2}$/;

export async function checkHistory(scrip: Scrip, ledger: LedgerOfUsage, found: History) {
  const { accountId, lots } = ledger;
  const months: string[] = [];
  const nameOf = new Map<bigint, string>();
  const lost = new Map<bigint, Map<string, bigint>>();
  for await (const { entries } of scrip.billing.streamHistory({ accountId }))
    for (const entry of entries) {
      found.entries += 1;
      if (entry.late) found.lateCommits += 1;
      if (entry.kind === Entry_Kind.GRANT && MONTH.test(entry.reference)) {
        months.push(entry.reference);
        nameOf.set(entry.grantId, entry.reference);
      }
      noteBreakage(entry, lost);
    }
  agree(accountId, 'the months of its allowances', months.join(' '), ledger.allowances.join(' '));
  found.allowances += months.length;

  const byName = new Map([...lost].map(([id, days]) => [nameOf.get(id) ?? `${id}`, days]));
  for (const lot of lots) {
    agree(
      accountId,
      `breakage of ${titleOf(lot)},`,
      textOf(byName.get(lot.name)),
      textOf(lot.lost),
    );
    byName.delete(lot.name);
    count(lot, found);
  }
  const inVain = textOf(byName.get(REFUNDS));
  agree(accountId, 'breakage of refunds', inVain, textOf(ledger.refundedInVain));
  byName.delete(REFUNDS);
  for (const credits of ledger.refundedInVain.values()) found.brokenRefunds += credits;
  agree(accountId, 'grants with other breakage', [...byName.keys()].join(' '), '');
  const { balance } = await scrip.billing.getBalance({ accountId });
  agree(accountId, 'the last available', balance?.available, ledger.available);
}

/** Credits that became breakage by an entry: as a grant's own end, or given back after that. */
function noteBreakage({ moves, at }: Entry, lost: Map<bigint, Map<string, bigint>>) {
  for (const { from, to, credits } of moves) {
    if (to?.kind !== Bucket_Kind.EXPIRED) continue;
    const grantId = from?.grantId ?? 0n;
    const days = lost.get(grantId) ?? new Map<string, bigint>();
    addTo(days, dayOf(at?.getTime() ?? 0), credits);
    lost.set(grantId, days);
  }
}

function count({ category, expiresAt, lost }: Lot, found: History) {
  const broken = [...lost.values()].reduce((sum, credits) => sum + credits, 0n);
  if (category === 'ALLOWANCE') found.brokenAllowances += broken;
  if (category !== 'PAID') return;
  found.brokenPacks += broken;
  if (expiresAt === null) found.packsKept += 1;
  else if (lost.has(dayOf(expiresAt))) found.packsExpired += 1;
  else found.packsSpent += 1;
}

const titleOf = ({ name, category, expiresAt }: Lot): string =>
  `${category === 'PAID' ? `the pack of grant ${name}` : name}, which ends ` +
  (expiresAt === null ? 'never' : `on ${dayOf(expiresAt)}`);

const textOf = (days: ReadonlyMap<string, bigint> | undefined): string =>
  [...(days ?? [])]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([day, credits]) => `${credits} on ${day}`)
    .join(', ') || 'none';
