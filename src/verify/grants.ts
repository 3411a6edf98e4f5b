/** Compares the grants of an account with the buckets that its entries filled. */
import type { Account } from '../ledger/account.ts';
import type { Grant } from '../ledger/grant.ts';
import type { Report } from './findings.ts';
import { instant } from './instant.ts';
import { type Buckets, OVERAGE } from './moves.ts';
import type { Replay } from './replay.ts';
import { monthNamed } from './zone-periods.ts';

export function checkGrants(
  { account, sums, states, voided, grantCount, reissued }: Replay,
  grants: ReadonlyMap<bigint, Grant>,
  report: Report,
) {
  const periods = new Set<string>();
  for (const grant of grants.values()) {
    const buckets = sums.of(grant.grantId);
    const reportGrant = (what: string) => report(`grant ${grant.grantId}: ${what}`);
    const returned = (reissued.get(grant.grantId) ?? 0n) + sums.clawedBack(grant.grantId);
    checkAmounts(grant, buckets, { returned, ...voided.of(grant.grantId) }, reportGrant);
    const state = states.of(grant.grantId);
    if (grant.state !== state) reportGrant(`it is ${grant.state}, the entries say ${state}`);
    if (grant.grantId > grantCount) reportGrant('no entry made it');
    checkOperations(grant, reportGrant);
    if (grant.source === 'ALLOWANCE') checkAllowance(account, grant, periods, reportGrant);
  }
  const reissuedTotal = [...reissued.values()].reduce((sum, credits) => sum + credits, 0n);
  checkTotal(account, grants, { sums, voided }, reissuedTotal, report);
  checkAccount(account, grants, report);
}

/** A turn that is so close to another is that turn: zone data can have changed since one was written. */
const TURN_MS = 6 * 3_600_000;

/** An allowance names its period, a month or an instant, and each period has one. */
function checkAllowance(
  { timeZones }: Account,
  { effectiveAt, sourceReference: period }: Grant,
  periods: Set<string>,
  report: Report,
) {
  const from = instant(effectiveAt);
  const months = [effectiveAt, ...(timeZones ? [effectiveAt + TURN_MS] : [])].map((at) =>
    monthNamed(timeZones, at),
  );
  if (period !== from && !months.includes(period))
    report(`it is the allowance of ${period}, and effective from ${from}`);
  if (periods.has(period)) report(`the allowance of ${period} was granted before`);
  periods.add(period);
}

function checkAmounts(
  grant: Grant,
  buckets: Buckets,
  credits: {
    /** Moved back to `issued`. */
    readonly returned: bigint;
    /** Voided before they were issued. */
    readonly unissued: bigint;
  },
  report: Report,
) {
  const { amount, remaining, reserved } = grant;
  const issued = credits.returned - buckets.issued;
  if (issued !== (grant.state === 'SCHEDULED' ? 0n : amount - credits.unissued))
    report(`its amount is ${amount} and its state ${grant.state}, the moves issued ${issued}`);
  if (remaining !== buckets.available + buckets.reserved)
    report(`remaining is ${remaining}, the moves say ${buckets.available + buckets.reserved}`);
  if (reserved !== buckets.reserved)
    report(`reserved is ${reserved}, the moves say ${buckets.reserved}`);
}

/** Operations are unique and sorted, so that equal limits are equal texts. */
function checkOperations({ operations }: Grant, report: Report) {
  const isSorted = operations.every((name, index) => index === 0 || operations[index - 1]! < name);
  if (!isSorted) report(`its operations are not in order: ${operations.join(', ')}`);
}

/** Credits granted, overage used and what is owed are equal to credits remaining, held, consumed, expired and voided. */
function checkTotal(
  account: Account,
  grants: ReadonlyMap<bigint, Grant>,
  { sums, voided }: Pick<Replay, 'sums' | 'voided'>,
  reissued: bigint,
  report: Report,
) {
  const { total } = sums;
  let issued = 0n;
  for (const { grantId, state, amount } of grants.values())
    if (state !== 'SCHEDULED')
      issued += amount - voided.of(grantId).unissued - sums.clawedBack(grantId);
  issued -= reissued + sums.of(OVERAGE).issued;
  const overage = -total.overage;
  const owed = -total.owed;
  const { consumed, expired } = total;
  const voidedCredits = total.voided;
  const held = account.remaining + account.overageReserved;
  if (issued + overage + owed !== held + consumed + expired + voidedCredits)
    report(
      `issued ${issued}, overage ${overage} and owed ${owed} are not what remains (${account.remaining}), is ` +
        `reserved on overage (${account.overageReserved}), consumed (${consumed}), expired (${expired}) and voided (${voidedCredits})`,
    );
}

/** What the account's row says of its grants, for units of work that do not load them all. */
function checkAccount(account: Account, grants: ReadonlyMap<bigint, Grant>, report: Report) {
  let granted = 0n;
  let scheduled = 0n;
  let hasLimited = false;
  for (const { amount, voided, remaining, state, operations } of grants.values()) {
    if (remaining > 0n) granted += amount;
    if (state === 'SCHEDULED') scheduled += amount - voided;
    const isOpen = remaining > 0n || state === 'SCHEDULED';
    if (isOpen && operations.length > 0) hasLimited = true;
  }
  const compare = (name: string, stated: bigint, computed: bigint) => {
    if (stated !== computed) report(`${name} is ${stated}, the grants say ${computed}`);
  };
  compare('granted', account.granted, granted);
  compare('scheduled', account.scheduled, scheduled);
  // It may stay true after the last limited grant.
  if (hasLimited && !account.hasLimitedGrants)
    report('has_limited_grants is false, and a grant is limited to operations');
}
