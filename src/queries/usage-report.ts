/** Usage reports: the rows of usage rollups, summed by what a caller asks for. */
import { fromMillis } from '../pg/millis.ts';
import { type Em, IsolationLevel } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { AccountScope } from '../policy/permissions.ts';
import { usageQuantities, usageRollups } from '../store/tables/usage-rollups.ts';
import { allowScans } from './allow-scans.ts';
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
  /** First moments of the days or months that rows sum, each a full hour. Null: those of UTC. */
  readonly turns: readonly number[] | null;
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

/** `isStored`: the rollups have a column of this name. */
export type KeyColumn = {
  readonly name: string;
  readonly sql: string;
  readonly type: string;
  readonly isStored: boolean;
};

/** Where the period of a row begins. */
function periodOf({ granularity, turns, from }: UsageQuery): string {
  if (!granularity) return fromMillis(`${from}`);
  if (!turns) return `date_trunc('${granularity}', hour, 'UTC')`;
  const instants = turns.map((at) => `"${new Date(at).toISOString()}"`).join();
  const starts = `'{${instants}}'::timestamptz[]`;
  return `(${starts})[width_bucket(hour, ${starts})]`;
}

/** What divides the rows, in their order. */
export function keyColumns(query: UsageQuery): readonly KeyColumn[] {
  const { groupBy } = query;
  const period = periodOf(query);
  const column = (name: string, type = 'text', isStored = true) => ({
    name,
    sql: name,
    type,
    isStored,
  });
  return [
    { ...column('period', 'timestamptz', false), sql: period },
    ...(groupBy.has('account') ? [column('account_id')] : []),
    ...(groupBy.has('operation') ? [column('operation')] : []),
    ...(groupBy.has('caller') ? [column('caller')] : []),
    ...(groupBy.has('rateCardVersion')
      ? [column('plan_id'), column('rate_card_version', 'int')]
      : []),
    ...(groupBy.has('label')
      ? [column('place', 'int', false), column('label_value', 'text', false)]
      : []),
  ];
}

/** Of a row by label: a value, all values beyond the limit, or none. */
const PLACES = { value: 0, beyond: 1, none: 2 } as const;

/** A table of rollups, and what of it is summed. */
type Summed = {
  readonly table: string;
  /** Besides what divides the rows. */
  readonly by: readonly string[];
  readonly amounts: readonly string[];
};

const ROLLUPS: Summed = {
  table: usageRollups.name,
  by: [],
  amounts: ['count', 'credits', 'refunded'],
};
const QUANTITIES: Summed = { table: usageQuantities.name, by: ['quantity'], amounts: ['total'] };

/** Adds up rows of a table by its columns: the most that is done for every row. */
function addUp({ table, amounts }: Summed, columns: readonly string[], where: string): string {
  const sums = amounts.map((amount) => `sum(${amount}) as ${amount}`);
  const groups = columns.length > 0 ? ` group by ${columns.join(', ')}` : '';
  return `select ${[...columns, ...sums].join(', ')} from ${table} u where ${where}${groups}`;
}

/**
 * What is summed, by the hour where that matters, each with a sign. Usage without a label is what all entries used,
 * less what those with the label did.
 */
function sourceOf(summed: Summed, report: UsageQuery, range: Conditions): string {
  const { granularity, groupBy, label } = report;
  const columns = [
    ...(granularity ? ['hour'] : []),
    ...keyColumns(report).flatMap(({ name, isStored }) => (isStored ? [name] : [])),
    ...summed.by,
  ];
  const undivided = addUp(summed, columns, `label = '' and not beyond and ${range}`);
  if (!groupBy.has('label')) return undivided;
  range.parameters.push(label);
  const ofLabel = `label = $${range.parameters.length} and ${range}`;
  const labelled = addUp(summed, [...columns, 'beyond', 'label_value'], ofLabel);
  const shown = [...columns, ...summed.amounts].map((name) => `, ${name}`).join('');
  return `
    select ${PLACES.none} as place, '' as label_value, 1 as sign${shown} from (${undivided}) a
    union all
    select placed.place, placed.value, placed.sign${shown} from (${labelled}) b
    cross join lateral (values
      (case when beyond then ${PLACES.beyond} else ${PLACES.value} end, label_value, 1),
      (${PLACES.none}, '', -1)) placed (place, value, sign)`;
}

/** The sum of an amount of `sourceOf`. */
const sumOf = (amount: string, { groupBy }: UsageQuery): string =>
  groupBy.has('label') ? `sum(${amount} * sign)` : `sum(${amount})`;

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

/** By which rows are sorted: texts by their bytes, as reports of several cells are merged. */
const inOrder = ({ sql, type }: KeyColumn): string =>
  type === 'text' ? `${sql} collate "C"` : sql;

/** A condition on the place of rows: after a key, or up to it. */
function compare(columns: readonly KeyColumn[], sign: '>' | '<=', key: RowKey, range: Conditions) {
  const values = columns.map(({ type }, index) => {
    const isInstant = type === 'timestamptz';
    range.parameters.push(isInstant ? Number(key[index]) : (key[index] ?? ''));
    const placeholder = `$${range.parameters.length}`;
    return isInstant ? fromMillis(placeholder) : `${placeholder}::${type}`;
  });
  return `(${columns.map(inOrder).join(', ')}) ${sign} (${values.join(', ')})`;
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
  const source = sourceOf(ROLLUPS, report, range);
  const after = report.after ? `where ${compare(columns, '>', report.after, range)}` : '';
  const names = columns.map(({ sql }) => sql).join(', ');
  const sums = ROLLUPS.amounts.map((amount) => ({ amount, sum: sumOf(amount, report) }));
  return [
    `select ${keyOf(columns)}, ${sums.map(({ amount, sum }) => `${sum}::text as ${amount}`).join(', ')}
     from (${source}) s ${after} group by ${names}
     having ${sums.map(({ sum }) => `${sum} <> 0`).join(' or ')}
     order by ${columns.map(inOrder).join(', ')} limit ${report.limit + 1}`,
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
  const source = sourceOf(QUANTITIES, report, range);
  const { after, limit } = report;
  const conditions = [
    ...(sums.length > limit ? [compare(columns, '<=', last.key, range)] : []),
    ...(after ? [compare(columns, '>', after, range)] : []),
  ];
  const where = conditions.length > 0 ? `where ${conditions.join(' and ')}` : '';
  const names = columns.map(({ sql }) => sql).join(', ');
  const total = sumOf('total', report);
  const totals = await query<{ key: RowKey; quantity: string; total: string }>(
    em,
    `select ${keyOf(columns)}, quantity, ${total}::text as total
     from (${source}) s ${where} group by ${names}, quantity having ${total} <> 0`,
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
