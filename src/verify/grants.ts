/** The grants of an account, held against the buckets that its entries filled. */
import type { Account } from '../ledger/account.ts';
import type { Grant } from '../ledger/grant.ts';
import type { BucketSums, Buckets } from './moves.ts';
import type { Replay } from './replay.ts';

export function checkGrants(
  { account, sums, grantCount, reissued }: Replay,
  grants: ReadonlyMap<bigint, Grant>,
  report: (what: string) => void,
) {
  const months = new Set<string>();
  for (const grant of grants.values()) {
    const buckets = sums.of(grant.grantId);
    const reportGrant = (what: string) => report(`grant ${grant.grantId}: ${what}`);
    const again = reissued.get(grant.grantId) ?? 0n;
    checkAmounts(grant, buckets, again + sums.clawedBack(grant.grantId), reportGrant);
    checkState(grant, buckets, account.lastAt, reportGrant);
    if (grant.grantId > grantCount) reportGrant('no entry made it');
    checkOperations(grant, reportGrant);
    if (grant.source !== 'ALLOWANCE') continue;
    const opens = new Date(grant.effectiveAt).toISOString();
    if (![opens, opens.slice(0, 7)].includes(grant.sourceReference))
      reportGrant(`it is the allowance of ${grant.sourceReference}, and effective from ${opens}`);
    if (months.has(grant.sourceReference))
      reportGrant(`the allowance of ${grant.sourceReference} was granted before`);
    months.add(grant.sourceReference);
  }
  const again = [...reissued.values()].reduce((sum, credits) => sum + credits, 0n);
  checkWhole(account, grants, sums, again, report);
}

function checkAmounts(
  grant: Grant,
  buckets: Buckets,
  /** Credits that went back to where they were issued from. */
  returned: bigint,
  report: (what: string) => void,
) {
  const { amount, remaining, reserved } = grant;
  const issued = returned - buckets.issued;
  if (issued !== (grant.state === 'SCHEDULED' ? 0n : amount))
    report(`its amount is ${amount} and its state ${grant.state}, the moves issued ${issued}`);
  if (remaining !== buckets.available + buckets.reserved)
    report(`remaining is ${remaining}, the moves say ${buckets.available + buckets.reserved}`);
  if (reserved !== buckets.reserved)
    report(`reserved is ${reserved}, the moves say ${buckets.reserved}`);
}

/** A grant's state is of its newest move, so one that has expired since can still be OPEN. */
function checkState(
  grant: Grant,
  { expired }: Buckets,
  at: number,
  report: (what: string) => void,
) {
  const { state, remaining, expiresAt } = grant;
  const over = expiresAt !== null && expiresAt <= at;
  const sound = {
    SCHEDULED: remaining === 0n,
    OPEN: remaining > 0n,
    SPENT: remaining === 0n && (expired === 0n || over || isCarried(grant)),
    EXPIRED: over || (isCarried(grant) && remaining === 0n && expired > 0n),
  }[state];
  if (!sound) report(`it is ${state} with ${remaining} remaining and ${expired} expired`);
}

/** Allowances without an expiry lapse in part, as far as they are not carried into a new period. */
const isCarried = ({ source, expiresAt }: Grant): boolean =>
  source === 'ALLOWANCE' && expiresAt === null;

/** Named once each, in order: the same limit is always the same text. */
function checkOperations({ operations }: Grant, report: (what: string) => void) {
  const ordered = operations.every((name, index) => index === 0 || operations[index - 1]! < name);
  if (!ordered) report(`its operations are not in order: ${operations.join(', ')}`);
}

/** What was granted, and used beyond it, is somewhere: not spent yet, spent, or expired. */
function checkWhole(
  account: Account,
  grants: ReadonlyMap<bigint, Grant>,
  sums: BucketSums,
  reissued: bigint,
  report: (what: string) => void,
) {
  const { total } = sums;
  let issued = 0n;
  for (const { grantId, state, amount } of grants.values())
    if (state !== 'SCHEDULED') issued += amount - sums.clawedBack(grantId);
  issued -= reissued;
  const overage = -total.overage;
  const { consumed, expired } = total;
  const held = account.remaining + account.overageReserved;
  if (issued + overage !== held + consumed + expired)
    report(
      `issued ${issued} and overage ${overage} are not what remains (${account.remaining}), is ` +
        `reserved on overage (${account.overageReserved}), consumed (${consumed}) and expired (${expired})`,
    );
}
