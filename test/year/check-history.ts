/**
 * Checks the history of an account: one allowance for each month under a plan that gives one, each credit
 * that expired, by grant and day, and the last balance.
 */
import type { Scrip } from '../../src/client.ts';
import { Bucket_Kind, type Entry, Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { dayOf, monthOf } from './calendar.ts';
import type { ExpectedAccount } from './expected-account.ts';
import { addTo, type ExpectedGrant } from './expected-grant.ts';
import { Flows } from './flows.ts';
import { assertEqual } from './mismatch.ts';

export type History = {
  entries: number;
  allowances: number;
  /** Packs with an expiry: those with credits left at that time, and those spent before. */
  packsExpired: number;
  packsSpent: number;
  /** Packs that never expire. */
  packsWithoutExpiry: number;
  lateCommits: number;
  /** Entries of late usage, and those of them that count in the month before. */
  lateUsage: number;
  lateUsageOfMonthBefore: number;
  /** Credits of allowances that had expired and returned for late usage. */
  returned: bigint;
  /** Breakage of packs, of allowances, and of refunds after the expiry of a pack. */
  breakageOfPacks: bigint;
  breakageOfAllowances: bigint;
  breakageOfRefunds: bigint;
  readonly flows: Flows;
};

export const noHistory = (): History => ({
  entries: 0,
  allowances: 0,
  packsExpired: 0,
  packsSpent: 0,
  packsWithoutExpiry: 0,
  lateCommits: 0,
  lateUsage: 0,
  lateUsageOfMonthBefore: 0,
  returned: 0n,
  breakageOfPacks: 0n,
  breakageOfAllowances: 0n,
  breakageOfRefunds: 0n,
  flows: new Flows(),
});

/** The moves of refunds that become breakage name no grant. */
const REFUNDS = '0';

const MONTH = /^\d{4}-\d{2}$/;

export async function checkHistory(scrip: Scrip, expected: ExpectedAccount, found: History) {
  const { accountId, grants } = expected;
  const months: string[] = [];
  const nameOf = new Map<bigint, string>();
  const breakage = new Map<bigint, Map<string, bigint>>();
  const returned = new Map<bigint, Map<string, bigint>>();
  const addFlow = found.flows.account();
  for await (const { entries } of scrip.billing.streamHistory({ accountId }))
    for (const entry of entries) {
      found.entries += 1;
      addFlow(entry);
      if (entry.late) found.lateCommits += 1;
      countLateUsage(entry, found);
      if (entry.kind === Entry_Kind.GRANT && MONTH.test(entry.reference)) {
        months.push(entry.reference);
        nameOf.set(entry.grantId, entry.reference);
      }
      addBreakage(entry, breakage);
      addReturned(entry, returned);
    }
  assertEqual(
    accountId,
    'the months of its allowances',
    months.join(' '),
    expected.allowances.join(' '),
  );
  found.allowances += months.length;

  const byName = named(breakage, nameOf);
  const returnedByName = named(returned, nameOf);
  for (const grant of grants) {
    assertEqual(
      accountId,
      `breakage of ${titleOf(grant)},`,
      textOf(byName.get(grant.name)),
      textOf(grant.breakage),
    );
    assertEqual(
      accountId,
      `late usage returned of ${titleOf(grant)},`,
      textOf(returnedByName.get(grant.name)),
      textOf(grant.returned),
    );
    byName.delete(grant.name);
    returnedByName.delete(grant.name);
    countBreakage(grant, found);
  }
  const late = textOf(byName.get(REFUNDS));
  assertEqual(accountId, 'breakage of refunds', late, textOf(expected.lateRefunds));
  byName.delete(REFUNDS);
  for (const credits of expected.lateRefunds.values()) found.breakageOfRefunds += credits;
  assertEqual(accountId, 'grants with other breakage', [...byName.keys()].join(' '), '');
  assertEqual(accountId, 'other grants that returned', [...returnedByName.keys()].join(' '), '');
  const { balance } = await scrip.billing.getBalance({ accountId });
  assertEqual(accountId, 'the last available', balance?.available, expected.available);
}

type Days = Map<string, bigint>;

const named = (byId: ReadonlyMap<bigint, Days>, nameOf: ReadonlyMap<bigint, string>) =>
  new Map([...byId].map(([id, days]) => [nameOf.get(id) ?? `${id}`, days]));

function countLateUsage({ kind, usedAt, at }: Entry, found: History) {
  if (!usedAt || kind === Entry_Kind.REINSTATE) return;
  found.lateUsage += 1;
  if (monthOf(usedAt.getTime()) !== monthOf(at?.getTime() ?? 0)) found.lateUsageOfMonthBefore += 1;
}

/** Adds the credits that an entry moved back from `expired`, by grant and day. */
function addReturned({ moves, at }: Entry, returned: Map<bigint, Days>) {
  for (const { from, to, credits } of moves) {
    if (from?.kind !== Bucket_Kind.EXPIRED) continue;
    const grantId = to?.grantId ?? 0n;
    const days = returned.get(grantId) ?? new Map<string, bigint>();
    addTo(days, dayOf(at?.getTime() ?? 0), credits);
    returned.set(grantId, days);
  }
}

/** Adds the credits that an entry moved to `expired`, by grant and day. */
function addBreakage({ moves, at }: Entry, breakage: Map<bigint, Map<string, bigint>>) {
  for (const { from, to, credits } of moves) {
    if (to?.kind !== Bucket_Kind.EXPIRED) continue;
    const grantId = from?.grantId ?? 0n;
    const days = breakage.get(grantId) ?? new Map<string, bigint>();
    addTo(days, dayOf(at?.getTime() ?? 0), credits);
    breakage.set(grantId, days);
  }
}

function countBreakage({ category, expiresAt, breakage, returned }: ExpectedGrant, found: History) {
  for (const credits of returned.values()) found.returned += credits;
  const broken = [...breakage.values()].reduce((sum, credits) => sum + credits, 0n);
  if (category === 'ALLOWANCE') found.breakageOfAllowances += broken;
  if (category !== 'PAID') return;
  found.breakageOfPacks += broken;
  if (expiresAt === null) found.packsWithoutExpiry += 1;
  else if (breakage.has(dayOf(expiresAt))) found.packsExpired += 1;
  else found.packsSpent += 1;
}

const titleOf = ({ name, category, expiresAt }: ExpectedGrant): string =>
  `${category === 'PAID' ? `the pack of grant ${name}` : name}, which ends ` +
  (expiresAt === null ? 'never' : `on ${dayOf(expiresAt)}`);

const textOf = (days: ReadonlyMap<string, bigint> | undefined): string =>
  [...(days ?? [])]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([day, credits]) => `${credits} on ${day}`)
    .join(', ') || 'none';
