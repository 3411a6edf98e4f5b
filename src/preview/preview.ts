/**
 * A plan change tried out on what was really done: what each account used in a month, priced as it was
 * and as a plan file would price it. Nothing is written, and everything is of one moment.
 * Where a plan bills its overage, before or after, it tells that and the bill, too.
 */
import assert from 'node:assert/strict';
import pg from 'pg';
import { inReadOnlySnapshot, readWithCursor } from '../pg/cursor.ts';
import type { Row } from '../pg/table.ts';
import type { PlanFile, PlanTerms, RateCard, Terms } from '../pricing/plan.ts';
import { planTermsFromJson } from '../pricing/plan-file/plan-json.ts';
import { toUsages } from '../store/tables/entries.ts';
import {
  addOverage,
  allowanceOf,
  NO_OVERAGE,
  type Overage,
  type OverageTotals,
  repriceOverage,
} from './overage.ts';
import { type AccountMonth, readRecordedMonths } from './recorded-months.ts';
import { type RefusedUsage, reprice } from './reprice.ts';

export type PreviewOptions = {
  /** The plan file's terms. */
  readonly filed: PlanFile;
  /** Which of its rate cards. */
  readonly rateCard: RateCard;
  /** Accounts under this plan. */
  readonly accountsOf: string;
  /** The month: from its first moment, before the next one's. */
  readonly from: number;
  readonly until: number;
};

/** Sums over what was done; credits. */
export type Sums = {
  /** Commits and charges. */
  charges: bigint;
  creditsThen: bigint;
  creditsNow: bigint;
  /** Of both, what was asked as credits and not as usages. */
  unnamed: bigint;
  /** What the month's allowance covers of each. */
  allowanceThen: bigint;
  allowanceNow: bigint;
  /** Usages that have no price any more, and what they cost then. */
  refused: bigint;
  refusedCredits: bigint;
};

export type AccountPreview = Sums & {
  readonly accountId: string;
  /** Null where neither plan has rates. */
  overage: Overage | null;
};

/** How often an operation was refused, and why. */
export type RefusalCount = Omit<RefusedUsage, 'credits'> & { times: bigint; credits: bigint };

export type Totals = Sums & {
  accounts: bigint;
  /** Null where neither plan has rates. */
  overage: OverageTotals | null;
  readonly refusals: readonly RefusalCount[];
};

/**
 * Tells each account of the plan, in the order of the ids, and answers the totals. What is in memory at
 * once does not depend on how many there are. Rejects where the database does not know the plan.
 */
export async function preview(
  databaseUrl: string,
  options: PreviewOptions,
  tell: (account: AccountPreview) => Promise<void>,
): Promise<Totals> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: 'scrip preview',
  });
  client.on('error', () => {}); // a connection lost between two queries fails the next one
  await client.connect();
  try {
    return await inReadOnlySnapshot(client, async () => {
      const before = await termsOf(client, options.accountsOf);
      return await previewAll(client, options, before.terms, tell);
    });
  } finally {
    await client.end();
  }
}

async function termsOf(client: pg.Client, planId: string): Promise<PlanTerms> {
  const { rows } = await client.query('select terms from plans where plan_id = $1', [planId]);
  if (rows.length === 0) throw new Error(`the database has no plan ${planId}`);
  return planTermsFromJson(rows[0].terms);
}

/** Every account, beside what it was charged in the month, and what that was reserved for. */
const CHARGED = `
  select a.account_id, e.seq, e.credits - coalesce(f.refunded, 0) as credits,
    case when e.usages = '[]'::jsonb then r.usages else e.usages end as usages
  from accounts a
  left join entries e on e.account_id = a.account_id and e.kind in ('COMMIT', 'CHARGE')
    and e.at >= to_timestamp($2::float8 / 1000) and e.at < to_timestamp($3::float8 / 1000)
  left join refunded f on f.account_id = e.account_id and f.seq = e.seq
  left join entries r on r.account_id = e.account_id and r.reservation_id = e.reservation_id
    and r.kind = 'RESERVE' and e.usages = '[]'::jsonb
  where a.plan_id = $1
  order by a.account_id, e.seq`;

async function previewAll(
  client: pg.Client,
  options: PreviewOptions,
  termsThen: Terms,
  tell: (account: AccountPreview) => Promise<void>,
): Promise<Totals> {
  const { filed, rateCard, accountsOf, from, until } = options;
  const hasRates = [termsThen, filed.terms].some(
    ({ overage }) => (overage?.rates ?? null) !== null,
  );
  const months = hasRates ? readRecordedMonths(client, options) : null;
  const refusals = new Map<string, RefusalCount>();
  const totals: Omit<Totals, 'refusals'> = {
    ...nothing(),
    accounts: 0n,
    overage: months && NO_OVERAGE,
  };
  const close = async (account: AccountPreview) => {
    account.allowanceThen = smaller(allowanceOf(termsThen), account.creditsThen);
    account.allowanceNow = smaller(allowanceOf(filed.terms), account.creditsNow);
    if (months) {
      const month = await nextOf(months, account.accountId);
      account.overage = repriceOverage(month, account, termsThen, filed.terms);
      totals.overage = addOverage(totals.overage ?? NO_OVERAGE, account.overage);
    }
    totals.accounts += 1n;
    add(totals, account);
    await tell(account);
  };
  let current: AccountPreview | undefined;
  for await (const row of readWithCursor(client, 'charged', CHARGED, [accountsOf, from, until])) {
    const accountId: string = row['account_id']!;
    if (current && current.accountId !== accountId) await close(current);
    if (current?.accountId !== accountId) current = { accountId, ...nothing(), overage: null };
    if (row['seq'] !== null) take(current, row, rateCard, refusals);
  }
  if (current) await close(current);
  return { ...totals, refusals: [...refusals.values()].toSorted(byOperation) };
}

/** Both cursors are of one moment and one order, so they meet the same accounts. */
async function nextOf(
  months: AsyncGenerator<AccountMonth, void, void>,
  accountId: string,
): Promise<AccountMonth> {
  const { value } = await months.next();
  assert(value?.accountId === accountId, `the month of ${accountId} was not read`);
  return value;
}

function take(
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

const nothing = (): Sums => ({
  charges: 0n,
  creditsThen: 0n,
  creditsNow: 0n,
  unnamed: 0n,
  allowanceThen: 0n,
  allowanceNow: 0n,
  refused: 0n,
  refusedCredits: 0n,
});

function add(totals: Sums, account: Sums) {
  totals.charges += account.charges;
  totals.creditsThen += account.creditsThen;
  totals.creditsNow += account.creditsNow;
  totals.unnamed += account.unnamed;
  totals.allowanceThen += account.allowanceThen;
  totals.allowanceNow += account.allowanceNow;
  totals.refused += account.refused;
  totals.refusedCredits += account.refusedCredits;
}

const smaller = (a: bigint, b: bigint): bigint => (a < b ? a : b);

const byOperation = (a: RefusalCount, b: RefusalCount): number =>
  `${a.operation} ${a.reason}` < `${b.operation} ${b.reason}` ? -1 : 1;
