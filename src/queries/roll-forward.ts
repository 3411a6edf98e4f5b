/** Roll-forwards: what became of unspent credits in a month, as the sums that src/roll-forward counts say. */
import type { GrantCategory } from '../ledger/grant.ts';
import { type Em, IsolationLevel } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { AccountScope } from '../policy/permissions.ts';
import { LOSSES, type Movement, rollForwardSums } from '../store/tables/roll-forward.ts';
import { allowScans } from './allow-scans.ts';
import { Conditions } from './conditions.ts';
import { addScope } from './scope-condition.ts';
import { exactBefore } from './usage-exactness.ts';

export type RollForwardQuery = {
  /** Such as "2026-11". */
  readonly month: string;
  /** Null: all plans. */
  readonly planId: string | null;
  /** What the caller may see. */
  readonly scope: AccountScope | null;
};

/** Credits, and what was paid for them in the smallest unit of the currency. */
export type Figure = { readonly credits: bigint; readonly amount: bigint };

export type RollForwardRow = {
  readonly planId: string;
  readonly category: GrantCategory;
  readonly currency: string;
  readonly opening: Figure;
  readonly movements: ReadonlyMap<Movement, Figure>;
  readonly closing: Figure;
};

/** What one cell knows of a row. */
type Sums = Pick<RollForwardRow, 'planId' | 'category' | 'currency'> & {
  readonly movement: Movement;
  readonly before: Figure;
  readonly within: Figure;
};

export type RollForwardSums = { readonly sums: readonly Sums[]; readonly exactBefore: number };

/** The sums of a cell, all of one moment. */
export async function readRollForwardSums(
  em: Em,
  asked: RollForwardQuery,
  now: number,
): Promise<RollForwardSums> {
  return await em.transactional(
    async (em) => {
      await allowScans(em);
      const before = await exactBefore(em, 'roll_forward_positions', now);
      return { sums: await readSums(em, asked), exactBefore: before };
    },
    { isolationLevel: IsolationLevel.REPEATABLE_READ, readOnly: true },
  );
}

type SumRow = {
  readonly plan_id: string;
  readonly category: GrantCategory;
  readonly currency: string;
  readonly movement: Movement;
  readonly credits_before: string;
  readonly amount_before: string;
  readonly credits: string;
  readonly amount: string;
};

async function readSums(em: Em, { month, planId, scope }: RollForwardQuery): Promise<Sums[]> {
  const where = new Conditions(['month <= $1'], [month]);
  if (planId !== null) where.add((p) => `s.plan_id = ${p}`, planId);
  addScope(where, scope, 's.account_id');
  const sumOf = (column: string, sign: '<' | '=') =>
    `coalesce(sum(${column}) filter (where month ${sign} $1), 0)::text`;
  const rows = await query<SumRow>(
    em,
    `select plan_id, category, currency, movement,
       ${sumOf('credits', '<')} as credits_before, ${sumOf('amount', '<')} as amount_before,
       ${sumOf('credits', '=')} as credits, ${sumOf('amount', '=')} as amount
     from ${rollForwardSums.name} s where ${where} group by plan_id, category, currency, movement`,
    where.parameters,
  );
  return rows.map((row) => ({
    planId: row.plan_id,
    category: row.category,
    currency: row.currency,
    movement: row.movement,
    before: { credits: BigInt(row.credits_before), amount: BigInt(row.amount_before) },
    within: { credits: BigInt(row.credits), amount: BigInt(row.amount) },
  }));
}

const NOTHING: Figure = { credits: 0n, amount: 0n };

const add = (one: Figure, other: Figure, sign = 1n): Figure => ({
  credits: one.credits + sign * other.credits,
  amount: one.amount + sign * other.amount,
});

const signOf = (movement: Movement): bigint => (LOSSES.has(movement) ? -1n : 1n);

/** The rows of all cells, ordered by plan, category and currency. A row of which all is 0 is left out. */
export function toRollForward(sums: readonly Sums[]): readonly RollForwardRow[] {
  const groups = Map.groupBy(sums, ({ planId, category, currency }) =>
    [planId, category, currency].join('\n'),
  );
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, group]) => toRow(group))
    .filter(({ opening, movements }) =>
      [opening, ...movements.values()].some(
        ({ credits, amount }) => credits !== 0n || amount !== 0n,
      ),
    );
}

function toRow(group: readonly Sums[]): RollForwardRow {
  const [{ planId, category, currency }] = group as readonly [Sums, ...Sums[]];
  const movements = new Map<Movement, Figure>();
  let opening = NOTHING;
  let closing = NOTHING;
  for (const { movement, before, within } of group) {
    movements.set(movement, add(movements.get(movement) ?? NOTHING, within));
    opening = add(opening, before, signOf(movement));
    closing = add(closing, add(before, within), signOf(movement));
  }
  return { planId, category, currency, opening, movements, closing };
}
