/** Reads what was charged by the prices that are to be corrected, some accounts at a time. */
import type { Labels } from '../ledger/entry.ts';
import { toUsages } from '../ledger/entry-content.ts';
import { fromMillis, millis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import { Conditions } from '../queries/conditions.ts';
import { kindCodes, METHOD_CODES } from '../store/tables/codes.ts';
import {
  CORRECTION_PREFIX,
  type EarlierCorrections,
  NO_CORRECTIONS,
  parseCorrectionId,
  type RecordedCharge,
} from './correction.ts';

export type ChargeFilter = {
  readonly planId: string;
  /** Null: of any version. */
  readonly rateCardVersion: number | null;
  /** Null: no limit. `to` is excluded. */
  readonly from: number | null;
  readonly to: number | null;
  /** Empty: of any operation. */
  readonly operation: string;
};

const KINDS = kindCodes('COMMIT', 'CHARGE');

/** Its own usages or, without any, those of its reservation. */
const USAGES = `coalesce(e.content -> 'u', (
  select json_agg(u.usage order by r.seq, u.number)
  from entries r cross join json_array_elements(r.content -> 'u') with ordinality u (usage, number)
  where r.reservation_id = e.reservation_id and r.account_id = e.account_id
    and r.kind in (${kindCodes('RESERVE', 'RAISE')})), '[]')`;

function conditionsOf({ planId, rateCardVersion, from, to }: ChargeFilter): Conditions {
  const where = new Conditions([`e.kind in (${KINDS})`], []);
  where.add((p) => `e.plan_id = ${p}`, planId);
  if (rateCardVersion !== null) where.add((p) => `e.rate_card_version = ${p}`, rateCardVersion);
  if (from !== null) where.add((p) => `e.at >= ${fromMillis(p)}`, from);
  if (to !== null) where.add((p) => `e.at < ${fromMillis(p)}`, to);
  return where;
}

/** Those of the accounts that have such charges, in order. */
export async function accountsWithCharges(
  em: Em,
  filter: ChargeFilter,
  accountIds: readonly string[],
): Promise<readonly string[]> {
  const where = conditionsOf(filter);
  where.add((p) => `a.account_id = any(${p}::text[])`, accountIds);
  const rows = await query<{ account_id: string }>(
    em,
    `select a.account_id from accounts a
     where exists (select from entries e where e.account_id = a.account_id and ${where}) order by a.account_id`,
    where.parameters,
  );
  return rows.map(({ account_id }) => account_id);
}

/** Whether a charge of the account would only be recorded now. */
export async function isInShadowMode(em: Em, accountId: string): Promise<boolean> {
  const rows = await query(
    em,
    `select from accounts where account_id = $1 and shadow is not null and shadow ->> 'until' is null`,
    [accountId],
  );
  return rows.length > 0;
}

type ChargeRow = {
  readonly seq: string;
  readonly at: number;
  readonly request_id: string | null;
  readonly reservation_id: string | null;
  readonly rate_card_version: number | null;
  readonly credits: string;
  readonly refunded: string;
  readonly usages: Parameters<typeof toUsages>[0];
  readonly labels: Labels | null;
};

/** The next charges of an account after a seq, in order. */
export async function chargesOf(
  em: Em,
  filter: ChargeFilter,
  accountId: string,
  afterSeq: bigint,
  limit: number,
): Promise<readonly RecordedCharge[]> {
  const where = conditionsOf(filter);
  where.add((p) => `e.account_id = ${p}`, accountId);
  where.add((p) => `e.seq > ${p}`, afterSeq);
  const rows = await query<ChargeRow>(
    em,
    `select e.seq, ${millis('e.at', 'at')}, request_id_to_text(e.request_id) as request_id, e.reservation_id,
       e.rate_card_version, e.credits, coalesce(f.refunded, 0) as refunded, ${USAGES} as usages,
       e.personal -> 'labels' as labels
     from entries e left join refunded f on f.account_id = e.account_id and f.seq = e.seq
     where ${where} order by e.seq limit ${limit}`,
    where.parameters,
  );
  return rows.map((row) => ({
    accountId,
    seq: BigInt(row.seq),
    at: row.at,
    requestId: row.request_id ?? '',
    reservationId: row.reservation_id ?? '',
    planId: filter.planId,
    rateCardVersion: row.rate_card_version ?? 0,
    credits: BigInt(row.credits),
    refunded: BigInt(row.refunded),
    usages: toUsages(row.usages),
    labels: row.labels ?? {},
  }));
}

type CorrectionRow = {
  readonly method: number;
  readonly request_id: string;
  readonly credits: string;
  readonly refunded: string;
};

/** The corrections that were made of an account's charges, by the seqs of these. */
export async function correctionsOf(
  em: Em,
  accountId: string,
): Promise<ReadonlyMap<bigint, EarlierCorrections>> {
  const rows = await query<CorrectionRow>(
    em,
    `select e.method, request_id_to_text(e.request_id) as request_id, e.credits, coalesce(f.refunded, 0) as refunded
     from entries e left join refunded f on f.account_id = e.account_id and f.seq = e.seq
     where e.request_id >= convert_to($2, 'UTF8') and e.request_id < convert_to($3, 'UTF8')
       and e.account_id = $1 and e.method in (${METHOD_CODES.Refund}, ${METHOD_CODES.Charge})`,
    [accountId, CORRECTION_PREFIX, CORRECTION_PREFIX.replace(':', ';')],
  );
  const corrections = new Map<bigint, EarlierCorrections>();
  for (const row of rows) {
    const of = parseCorrectionId(row.request_id);
    if (!of) continue;
    const before = corrections.get(of.seq) ?? NO_CORRECTIONS;
    const isRefund = row.method === METHOD_CODES.Refund;
    corrections.set(of.seq, {
      refunded: before.refunded + (isRefund ? BigInt(row.credits) : 0n),
      charged: before.charged + (isRefund ? 0n : BigInt(row.credits)),
      chargedRefunded: before.chargedRefunded + (isRefund ? 0n : BigInt(row.refunded)),
      versions: new Set([...before.versions, of.version]),
    });
  }
  return corrections;
}
