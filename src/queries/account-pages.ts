/** Accounts as they are stored, page by page. A page begins after a key (keyset pagination). */
import type { Account, AccountState } from '../ledger/account.ts';
import type { Labels } from '../ledger/entry.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import type { AccountScope } from '../policy/permissions.ts';
import { accounts } from '../store/tables/accounts.ts';
import { Conditions } from './conditions.ts';
import { addScope } from './scope-condition.ts';

export type AccountFilter = {
  /** Empty: of any plan. */
  readonly planId: string;
  /** Null: in any. OPEN: not suspended. */
  readonly state: AccountState | 'SUSPENDED' | null;
  /** All must match. */
  readonly labels: Labels;
  /** Names of labels that the account must have. */
  readonly labelKeys: readonly string[];
  /** Null: however many credits it has. */
  readonly availableAtMost: bigint | null;
  /** False: whether or not they are in it. */
  readonly inShadowMode: boolean;
  /** What the caller may see. */
  readonly scope: AccountScope | null;
};

/** An account, and what is available without limited credits after its newest entry. */
export type FoundAccount = { readonly account: Account; readonly available: bigint };

export type AccountPage = {
  /** In the order of their ids. */
  readonly found: readonly FoundAccount[];
  /** Where `found` has fewer than the limit: the next page begins after this id. Null: there is none. */
  readonly nextAfterId: string | null;
};

/** Accounts that one page passes over: where few match, it has fewer than the limit. */
const PASSED_MAX = 20_000;

/** As the index has it. */
const IN_SHADOW_MODE = "shadow is not null and shadow ->> 'until' is null";

/** `generalAvailable` of the row `a` and its grants. */
const AVAILABLE = `(
  a.remaining - a.reserved - a.overage_reserved - case when a.has_limited_grants then (
    select coalesce(sum(g.remaining - g.reserved), 0)::bigint from grants g
    where g.account_id = a.account_id and g.open and g.operations is not null
  ) else 0 end)`;

/**
 * Up to `limit` accounts after `afterId`. Sessions plan for any value of a filter (`force_generic_plan`), so the
 * planner cannot know which index serves it. Where few accounts have the labels, those are read as a whole; otherwise
 * accounts in the order of an index, until enough of them match.
 */
export async function findAccounts(
  em: Em,
  filter: AccountFilter,
  afterId: string,
  limit: number,
): Promise<AccountPage> {
  if (hasLabels(filter) && (await areLabelsRare(em, filter))) {
    const range = new Conditions(['account_id > $1'], [afterId]);
    addLabels(range, filter);
    const text = `materialized (select * from accounts where ${range})`;
    return { found: await findMatching(em, text, range, filter, limit), nextAfterId: null };
  }
  const find = (em: Em) => findInOrder(em, filter, afterId, limit);
  return await em.transactional(find, { readOnly: true });
}

/** Of a transaction. The planner could prefer to read and sort all accounts that a page may pass over. */
const IN_ORDER = `
  select set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true)`;

async function findInOrder(
  em: Em,
  filter: AccountFilter,
  afterId: string,
  limit: number,
): Promise<AccountPage> {
  const range = rangeOf(filter, afterId);
  const [, lastId] = await Promise.all([query(em, IN_ORDER, []), findLastPassed(em, range)]);
  if (lastId !== null) range.add((p) => `account_id <= ${p}`, lastId);
  // "offset" keeps the filters out of it, which could make the planner choose another index.
  const text = `not materialized (select * from accounts where ${range} order by account_id offset 0)`;
  const found = await findMatching(em, text, range, filter, limit);
  return { found, nextAfterId: found.length < limit ? lastId : null };
}

const hasLabels = ({ labels, labelKeys }: AccountFilter): boolean =>
  labelKeys.length > 0 || Object.keys(labels).length > 0;

async function areLabelsRare(em: Em, filter: AccountFilter): Promise<boolean> {
  const where = new Conditions([], []);
  addLabels(where, filter);
  const rows = await query<{ count: string }>(
    em,
    `select count(*) from (select from accounts where ${where} limit ${PASSED_MAX + 1}) a`,
    where.parameters,
  );
  return Number(rows[0]?.count) <= PASSED_MAX;
}

/** The accounts that an index gives in the order of their ids. */
function rangeOf({ planId, state, inShadowMode }: AccountFilter, afterId: string): Conditions {
  const range = new Conditions(['account_id > $1'], [afterId]);
  if (inShadowMode) range.require(IN_SHADOW_MODE);
  else if (state === 'CLOSED') range.require(`state = 'CLOSED'`);
  else if (state === 'SUSPENDED') range.require('suspension is not null');
  else if (planId) range.add((p) => `plan_id = ${p}`, planId);
  return range;
}

/** The id of the last account that the page passes over. Null: it can pass over all. */
async function findLastPassed(em: Em, range: Conditions): Promise<string | null> {
  const [row] = await query<{ account_id: string }>(
    em,
    `select account_id from accounts where ${range}
     order by account_id offset ${PASSED_MAX - 1} limit 1`,
    range.parameters,
  );
  return row?.account_id ?? null;
}

async function findMatching(
  em: Em,
  /** The accounts of `range`, for a with clause. */
  text: string,
  range: Conditions,
  filter: AccountFilter,
  limit: number,
): Promise<readonly FoundAccount[]> {
  const where = matching(filter, range.parameters);
  const rows = await query<Row & { readonly available: string }>(
    em,
    `with a as ${text}
     select ${accounts.selectListOf('a')}, ${AVAILABLE} as available
     from a where ${where} order by a.account_id limit ${where.parameter(limit)}`,
    where.parameters,
  );
  return rows.map((row) => ({ account: accounts.read(row), available: BigInt(row.available) }));
}

function matching(filter: AccountFilter, parameters: readonly unknown[]): Conditions {
  const { planId, state, availableAtMost, inShadowMode, scope } = filter;
  const where = new Conditions(['true'], parameters);
  if (planId) where.add((p) => `a.plan_id = ${p}`, planId);
  if (state !== null) where.require(`a.state = '${state === 'CLOSED' ? 'CLOSED' : 'OPEN'}'`);
  if (state === 'OPEN') where.require('a.suspension is null');
  if (state === 'SUSPENDED') where.require('a.suspension is not null');
  if (inShadowMode) where.require(IN_SHADOW_MODE);
  addLabels(where, filter);
  if (availableAtMost !== null) where.add((p) => `${AVAILABLE} <= ${p}::bigint`, availableAtMost);
  addScope(where, scope, 'a.account_id');
  return where;
}

function addLabels(where: Conditions, { labels, labelKeys }: AccountFilter) {
  if (Object.keys(labels).length > 0)
    where.add((p) => `labels @> ${p}::jsonb`, JSON.stringify(labels));
  if (labelKeys.length > 0) where.add((p) => `labels ?& ${p}::text[]`, labelKeys);
}
