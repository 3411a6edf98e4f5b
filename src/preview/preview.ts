/**
 * Previews a plan file on recorded usage: what each account used in a month, as it was charged and as the
 * file would price it. Where a plan bills overage, the overage and the bills as well. Reads one snapshot of
 * the database and writes nothing.
 */
import assert from 'node:assert/strict';
import pg from 'pg';
import { toUsages } from '../ledger/entry-content.ts';
import { min } from '../min.ts';
import { inReadOnlySnapshot, readWithCursor } from '../pg/cursor.ts';
import { fromMillis } from '../pg/millis.ts';
import type { Row } from '../pg/table.ts';
import type { PlanFile, PlanTerms, RateCard, Terms } from '../pricing/plan.ts';
import { planTermsFromJson } from '../pricing/plan-file/plan-json.ts';
import { type RefusedUsage, reprice } from '../pricing/reprice.ts';
import { kindCodes } from '../store/tables/codes.ts';
import {
  addOverage,
  allowanceOf,
  NO_OVERAGE,
  type Overage,
  type OverageTotals,
  repriceOverage,
} from './overage.ts';
import { type AccountMonth, readRecordedMonths } from './recorded-months.ts';

export type PreviewOptions = {
  readonly planFile: PlanFile;
  /** The rate card of the file to price with. */
  readonly rateCard: RateCard;
  /** The plan whose accounts are previewed. */
  readonly accountsOf: string;
  /** The month as the half-open interval [from, until). */
  readonly from: number;
  readonly until: number;
};

/** Sums over commits and charges, in credits unless stated otherwise. */
export type Sums = {
  /** Number of commits and charges. */
  charges: bigint;
  creditsThen: bigint;
  creditsNow: bigint;
  /** The part of both that was charged without usages. */
  unnamed: bigint;
  /** The part of each that the month's allowance covers. */
  allowanceThen: bigint;
  allowanceNow: bigint;
  /** Number of usages that the file cannot price, and what they cost on record. */
  refused: bigint;
  refusedCredits: bigint;
};

export type AccountPreview = Sums & {
  readonly accountId: string;
  /** Null if neither plan has rates. */
  overage: Overage | null;
};

/** Usages of one operation that the file cannot price for one reason. */
export type RefusalCount = Omit<RefusedUsage, 'credits'> & { times: bigint; credits: bigint };

export type Totals = Sums & {
  accounts: bigint;
  /** Null if neither plan has rates. */
  overage: OverageTotals | null;
  readonly refusals: readonly RefusalCount[];
};

/**
 * Calls `onAccount` for each account of the plan, sorted by id, and returns the totals. Memory does not grow
 * with the number of accounts. Rejects if the database has no such plan.
 */
export async function preview(
  databaseUrl: string,
  options: PreviewOptions,
  onAccount: (account: AccountPreview) => Promise<void>,
): Promise<Totals> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: 'scrip preview',
  });
  client.on('error', () => {}); // a connection lost between two queries fails the next one
  await client.connect();
  try {
    return await inReadOnlySnapshot(client, async () => {
      const recorded = await readTerms(client, options.accountsOf);
      return await previewAll(client, options, recorded.terms, onAccount);
    });
  } finally {
    await client.end();
  }
}

async function readTerms(client: pg.Client, planId: string): Promise<PlanTerms> {
  const { rows } = await client.query(
    'select v.terms from plans p join plan_versions v using (plan_id, version) where p.plan_id = $1',
    [planId],
  );
  if (rows.length === 0) throw new Error(`the database has no plan ${planId}`);
  return planTermsFromJson(rows[0].terms);
}

/**
 * One row per commit and charge of the month, and one for an account without any. A commit without usages
 * has those of its reservation.
 */
const CHARGES_SQL = `
  select a.account_id, e.seq, e.credits - coalesce(f.refunded, 0) as credits,
    coalesce(e.content -> 'u', r.content -> 'u') as usages
  from accounts a
  left join entries e on e.account_id = a.account_id and e.kind in (${kindCodes('COMMIT', 'CHARGE')})
    and e.at >= ${fromMillis('$2')} and e.at < ${fromMillis('$3')}
  left join refunded f on f.account_id = e.account_id and f.seq = e.seq
  left join entries r on r.account_id = e.account_id and r.reservation_id = e.reservation_id
    and r.kind = ${kindCodes('RESERVE')} and e.content -> 'u' is null
  where a.plan_id = $1
  order by a.account_id, e.seq`;

async function previewAll(
  client: pg.Client,
  options: PreviewOptions,
  termsThen: Terms,
  onAccount: (account: AccountPreview) => Promise<void>,
): Promise<Totals> {
  const { planFile, rateCard, accountsOf, from, until } = options;
  const hasRates = [termsThen, planFile.terms].some(
    ({ overage }) => (overage?.rates ?? null) !== null,
  );
  const months = hasRates ? readRecordedMonths(client, options) : null;
  const refusals = new Map<string, RefusalCount>();
  const totals: Omit<Totals, 'refusals'> = {
    ...zeroSums(),
    accounts: 0n,
    overage: months && NO_OVERAGE,
  };
  const finishAccount = async (account: AccountPreview) => {
    account.allowanceThen = min(allowanceOf(termsThen), account.creditsThen);
    account.allowanceNow = min(allowanceOf(planFile.terms), account.creditsNow);
    if (months) {
      const month = await nextMonth(months, account.accountId);
      account.overage = repriceOverage(month, account, termsThen, planFile.terms);
      totals.overage = addOverage(totals.overage ?? NO_OVERAGE, account.overage);
    }
    totals.accounts += 1n;
    addSums(totals, account);
    await onAccount(account);
  };
  let current: AccountPreview | undefined;
  for await (const row of readWithCursor(client, 'charges', CHARGES_SQL, [
    accountsOf,
    from,
    until,
  ])) {
    const accountId: string = row['account_id']!;
    if (current && current.accountId !== accountId) await finishAccount(current);
    if (current?.accountId !== accountId) current = { accountId, ...zeroSums(), overage: null };
    if (row['seq'] !== null) addCharge(current, row, rateCard, refusals);
  }
  if (current) await finishAccount(current);
  return { ...totals, refusals: [...refusals.values()].toSorted(compareRefusals) };
}

/** Both queries read the same snapshot in the same order, so both give the same accounts. */
async function nextMonth(
  months: AsyncGenerator<AccountMonth, void, void>,
  accountId: string,
): Promise<AccountMonth> {
  const { value } = await months.next();
  assert(value?.accountId === accountId, `the month of ${accountId} was not read`);
  return value;
}

/** Adds one commit or charge to the sums of its account. */
function addCharge(
  account: AccountPreview,
  row: Row,
  rateCard: RateCard,
  refusals: Map<string, RefusalCount>,
) {
  const charged = { credits: BigInt(row['credits']!), usages: toUsages(row['usages'] ?? []) };
  const { credits, unnamed, refused } = reprice(rateCard, charged);
  account.charges += 1n;
  account.creditsThen += charged.credits;
  account.creditsNow += credits;
  account.unnamed += unnamed;
  for (const { operation, reason, credits } of refused) {
    account.refused += 1n;
    account.refusedCredits += credits;
    const key = `${operation} ${reason}`;
    const count = refusals.get(key) ?? { operation, reason, times: 0n, credits: 0n };
    refusals.set(key, { ...count, times: count.times + 1n, credits: count.credits + credits });
  }
}

const zeroSums = (): Sums => ({
  charges: 0n,
  creditsThen: 0n,
  creditsNow: 0n,
  unnamed: 0n,
  allowanceThen: 0n,
  allowanceNow: 0n,
  refused: 0n,
  refusedCredits: 0n,
});

function addSums(totals: Sums, account: Sums) {
  totals.charges += account.charges;
  totals.creditsThen += account.creditsThen;
  totals.creditsNow += account.creditsNow;
  totals.unnamed += account.unnamed;
  totals.allowanceThen += account.allowanceThen;
  totals.allowanceNow += account.allowanceNow;
  totals.refused += account.refused;
  totals.refusedCredits += account.refusedCredits;
}

const compareRefusals = (a: RefusalCount, b: RefusalCount): number =>
  `${a.operation} ${a.reason}` < `${b.operation} ${b.reason}` ? -1 : 1;
