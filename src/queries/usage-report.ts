/** Usage reports: the rows of usage rollups, summed by what a caller asks for. */
import { fromMillis } from '../pg/millis.ts';
import { type Em, IsolationLevel } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { AccountScope } from '../policy/permissions.ts';
import { usageQuantities, usageRollups } from '../store/tables/usage-rollups.ts';
import { Conditions } from './conditions.ts';
import { addScope } from './scope-condition.ts';
import { type Exactness, exactnessOf } from './usage-exactness.ts';

export type Granularity = 'hour' | 'day' | 'month';
export type Dimension = 'account' | 'operation' | 'caller' | 'rateCardVersion' | 'label';

export type UsageQuery = {
  /** Null: all accounts. */
  readonly of: { readonly accountId: string } | { readonly planId: string } | null;
  /** What the caller may see. */
  readonly scope: AccountScope | null;
  /** First moments of hours. `to` is excluded. */
  readonly from: number;
  readonly to: number;
  /** Null: one row for the whole period. */
  readonly granularity: Granularity | null;
  readonly groupBy: ReadonlySet<Dimension>;
  /** The label of the dimension `label`. */
  readonly label: string;
  /** The key of the row after which the page begins. Null: from the first. */
  readonly after: RowKey | null;
  readonly limit: number;
};

/** What a row sums, as texts, in the order of the rows. */
export type RowKey = readonly string[];

export type UsageRow = {
  readonly key: RowKey;
  readonly startsAt: number;
  readonly accountId: string;
  readonly operation: string;
  readonly caller: string;
  readonly planId: string;
  readonly rateCardVersion: number;
  /** Null: without the label, or without the dimension. */
  readonly label: { readonly value: string } | 'beyond' | null;
  readonly count: bigint;
  readonly credits: bigint;
  readonly refunded: bigint;
  readonly quantities: ReadonlyMap<string, bigint>;
};

export type UsageReport = Exactness & {
  readonly rows: readonly UsageRow[];
  /** Whether accounts had more labels than have rows. */
  readonly hasOtherLabels: boolean;
};

/** The page, one more row than `limit` if there are more, and how exact it is, all of one moment. */
export async function readUsage(em: Em, report: UsageQuery, now: number): Promise<UsageReport> {
  return await em.transactional(
    async (em) => {
      await allowScans(em);
      const exactness = await exactnessOf(em, report, now);
      const sums = await query<SumRow>(em, ...sumsOf(report));
      const rows = await withQuantities(em, report, sums);
      const hasOtherLabels = report.groupBy.has('label') && (await findOtherLabels(em, report));
      return { ...exactness, rows, hasOtherLabels };
    },
    { isolationLevel: IsolationLevel.REPEATABLE_READ, readOnly: true },
  );
}

/** Reports read many rows: what is best for a unit of work is not for them. See pg/session-settings.ts. */
async function allowScans(em: Em) {
  await query(
    em,
    `select set_config(name, value, true) from (values
       ('enable_seqscan', 'on'), ('enable_hashjoin', 'on'), ('enable_mergejoin', 'on'),
       ('plan_cache_mode', 'force_custom_plan')) settings (name, value)`,
    [],
  );
}

type KeyColumn = { readonly name: string; readonly sql: string; readonly type: string };

/** What divides the rows, in their order. */
function keyColumns({ granularity, groupBy, from }: UsageQuery): readonly KeyColumn[] {
  const period = granularity ? `date_trunc('${granularity}', hour, 'UTC')` : fromMillis(`${from}`);
  const text = (name: string) => ({ name, sql: name, type: 'text' });
  return [
    { name: 'period', sql: period, type: 'timestamptz' },
    ...(groupBy.has('account') ? [text('account_id')] : []),
    ...(groupBy.has('operation') ? [text('operation')] : []),
    ...(groupBy.has('caller') ? [text('caller')] : []),
    ...(groupBy.has('rateCardVersion')
      ? [text('plan_id'), { name: 'rate_card_version', sql: 'rate_card_version', type: 'int' }]
      : []),
    ...(groupBy.has('label') ? [{ ...text('place'), type: 'int' }, text('label_value')] : []),
  ];
}

/** Of a row by label: a value, all values beyond the limit, or none. */
const PLACES = { value: 0, beyond: 1, none: 2 } as const;

/**
 * Rows of a table, each with its sign. Usage without a label is what all entries used, less what those with the
 * label did.
 */
function sourceOf(table: string, report: UsageQuery, range: Conditions): string {
  const undivided = `label = '' and not beyond and ${range}`;
  if (!report.groupBy.has('label')) return `select *, 1 as sign from ${table} u where ${undivided}`;
  range.parameters.push(report.label);
  const columns = 'account_id, hour, operation, caller, plan_id, rate_card_version';
  const sums = table === usageRollups.name ? 'count, credits, refunded' : 'quantity, total';
  return `
    select ${columns}, ${sums}, ${PLACES.none} as place, '' as label_value, 1 as sign
    from ${table} u where ${undivided}
    union all
    select ${columns}, ${sums}, placed.place, placed.value, placed.sign
    from ${table} u cross join lateral (values
      (case when beyond then ${PLACES.beyond} else ${PLACES.value} end, label_value, 1),
      (${PLACES.none}, '', -1)) placed (place, value, sign)
    where label = $${range.parameters.length} and ${range}`;
}

/** The rows of the hours that the page can have. */
function rangeOf({ of, scope, from, to, after }: UsageQuery): Conditions {
  const first = after ? Math.max(from, Number(after[0])) : from;
  const where = new Conditions(
    [`hour >= ${fromMillis('$1')}`, `hour < ${fromMillis('$2')}`],
    [first, to],
  );
  if (of && 'accountId' in of) where.add((p) => `u.account_id = ${p}`, of.accountId);
  else if (of) where.add((p) => `u.plan_id = ${p}`, of.planId);
  addScope(where, scope, 'u.account_id');
  return where;
}

/** A condition on the place of rows: after a key, or up to it. */
function compare(columns: readonly KeyColumn[], sign: '>' | '<=', key: RowKey, range: Conditions) {
  const values = columns.map(({ type }, index) => {
    const isInstant = type === 'timestamptz';
    range.parameters.push(isInstant ? Number(key[index]) : (key[index] ?? ''));
    const placeholder = `$${range.parameters.length}`;
    return isInstant ? fromMillis(placeholder) : `${placeholder}::${type}`;
  });
  return `(${columns.map(({ sql }) => sql).join(', ')}) ${sign} (${values.join(', ')})`;
}

type SumRow = {
  readonly key: RowKey;
  readonly count: string;
  readonly credits: string;
  readonly refunded: string;
};

const keyOf = (columns: readonly KeyColumn[]): string =>
  `array[${columns
    .map(({ type, sql }) =>
      type === 'timestamptz'
        ? `(extract(epoch from ${sql}) * 1000)::bigint::text`
        : `(${sql})::text`,
    )
    .join(', ')}] as key`;

function sumsOf(report: UsageQuery): [text: string, parameters: readonly unknown[]] {
  const columns = keyColumns(report);
  const range = rangeOf(report);
  const source = sourceOf(usageRollups.name, report, range);
  const after = report.after ? `where ${compare(columns, '>', report.after, range)}` : '';
  const names = columns.map(({ sql }) => sql).join(', ');
  return [
    `select ${keyOf(columns)}, sum(count * sign)::text as count, sum(credits * sign)::text as credits,
       sum(refunded * sign)::text as refunded
     from (${source}) s ${after} group by ${names}
     having sum(count * sign) <> 0 or sum(credits * sign) <> 0 or sum(refunded * sign) <> 0
     order by ${names} limit ${report.limit + 1}`,
    range.parameters,
  ];
}

async function withQuantities(
  em: Em,
  report: UsageQuery,
  sums: readonly SumRow[],
): Promise<readonly UsageRow[]> {
  const last = sums.at(-1);
  if (!last) return [];
  const columns = keyColumns(report);
  const range = rangeOf(report);
  const source = sourceOf(usageQuantities.name, report, range);
  const { after } = report;
  const conditions = [
    compare(columns, '<=', last.key, range),
    ...(after ? [compare(columns, '>', after, range)] : []),
  ];
  const names = columns.map(({ sql }) => sql).join(', ');
  const totals = await query<{ key: RowKey; quantity: string; total: string }>(
    em,
    `select ${keyOf(columns)}, quantity, sum(total * sign)::text as total
     from (${source}) s where ${conditions.join(' and ')} group by ${names}, quantity
     having sum(total * sign) <> 0`,
    range.parameters,
  );
  const byKey = Map.groupBy(totals, ({ key }) => JSON.stringify(key));
  return sums.map((sum) => toRow(report, columns, sum, byKey.get(JSON.stringify(sum.key)) ?? []));
}

function toRow(
  { from }: UsageQuery,
  columns: readonly KeyColumn[],
  { key, count, credits, refunded }: SumRow,
  totals: readonly { readonly quantity: string; readonly total: string }[],
): UsageRow {
  const value = (name: string) => key[columns.findIndex((column) => column.name === name)];
  const place = Number(value('place') ?? PLACES.none);
  return {
    key,
    startsAt: Math.max(from, Number(key[0])),
    accountId: value('account_id') ?? '',
    operation: value('operation') ?? '',
    caller: value('caller') ?? '',
    planId: value('plan_id') ?? '',
    rateCardVersion: Number(value('rate_card_version') ?? 0),
    label: labelOf(place, value('label_value') ?? ''),
    count: BigInt(count),
    credits: BigInt(credits),
    refunded: BigInt(refunded),
    quantities: new Map(
      totals
        .toSorted((a, b) => (a.quantity < b.quantity ? -1 : 1))
        .map(({ quantity, total }) => [quantity, BigInt(total)]),
    ),
  };
}

function labelOf(place: number, value: string): UsageRow['label'] {
  if (place === PLACES.value) return { value };
  return place === PLACES.beyond ? 'beyond' : null;
}

async function findOtherLabels(em: Em, report: UsageQuery): Promise<boolean> {
  const range = rangeOf({ ...report, after: null });
  const rows = await query(
    em,
    `select from ${usageRollups.name} u where label = '' and beyond and ${range} limit 1`,
    range.parameters,
  );
  return rows.length > 0;
}
