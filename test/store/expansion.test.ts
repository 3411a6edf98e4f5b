/** Migrations after those of the last release only expand, so that its replicas go on beside new ones. */
import { expect, inject, test } from 'vitest';
import { connectAsOwner } from '../../src/pg/migrate.ts';
import { createDatabase, createEmptyDatabase, execute } from '../postgres.ts';
import { missedBy, readSchema } from './expansion.ts';

/** The newest migration of the last release. A release moves it, and empties REVIEWED: CONTRIBUTING.md. */
const RELEASED = '0001-baseline';

/** What replicas of the last release can do without, or never write, and why: such as a CHECK that became wider. */
const REVIEWED: Readonly<Record<string, string>> = {
  'refuses: entries_kind_check: CHECK (((kind >= 1) AND (kind <= 33)))': 'it was up to 24',
  'refuses: entries_request_check: CHECK (((method >= 1) AND (method <= 28) AND ((method IS NULL) OR (request_id IS NOT NULL))))':
    'it was up to 17',
  "refuses: grants_state_check: CHECK ((state = ANY (ARRAY['SCHEDULED'::text, 'OPEN'::text, 'SPENT'::text, 'EXPIRED'::text, 'VOIDED'::text])))":
    'it was without VOIDED',
  'refuses: events_position_check: CHECK (("position" <> 0))': 'it was above 0',
  'refuses: grants_voided_check: CHECK (((voided > 0) AND (voided <= (amount - remaining)) AND (void_on_return > 0)))':
    'of columns that it does not write',
  'refuses: accounts_owed_check: CHECK ((owed > 0))': 'of a column that it does not write',
  'refuses: purchases_owed_check: CHECK (((credits_owed > 0) AND (credits_owed <= credits)))':
    'of a column that it does not write',
  'refuses: reservations_policy_check: CHECK ((over_commit_policy = ANY (ARRAY[1, 2, 3, 4])))':
    'it was without TAKE',
  'refuses: reservations_whole_check: CHECK ((((committed + returned) <= credits) OR (over_commit_policy = ANY (ARRAY[3, 4]))))':
    'it allowed more of DRAW only',
  'refuses: accounts_overage_before_check: CHECK (((overage_before > 0) AND (overage_before <= overage_limit)))':
    'of a column that it does not write',
  'refuses: grants_expired_check: CHECK (((expired > 0) AND (expired <= amount)))':
    'of a column that it does not write',
};

test('what is new only expands what is released', async () => {
  const url = await createEmptyDatabase(inject('postgresUrl'));
  const orm = await connectAsOwner(url);
  try {
    const ran = await orm.migrator.up({ to: RELEASED });
    expect(ran.at(-1)?.name).toBe(RELEASED);
    const released = await readSchema(url);
    expect(released.tables).toContain('accounts');
    await orm.migrator.up();
    expect([...missedBy(released, await readSchema(url))].toSorted()).toEqual(
      Object.keys(REVIEWED).toSorted(),
    );
  } finally {
    await orm.close();
  }
});

test.each([
  'create table tiers (tier_id text primary key, check (length(tier_id) < 9))',
  'alter table accounts add column tier text',
  "alter table accounts add column tier text not null default 'basic'",
  'create index accounts_by_state on accounts (state)',
  'grant select on accounts to public',
  'alter table accounts alter column plan_id drop not null',
  'alter table accounts drop constraint accounts_state_check',
])('it expands: %s', async (sql) => {
  expect(await missedAfter(sql)).toEqual([]);
});

test.each([
  ['alter table accounts drop column state cascade', /^gone: column accounts\.state text/],
  ['alter table accounts rename column state to status', /^gone: column accounts\.state/],
  ['alter table entries rename to lines', /^gone: table entries/],
  ['drop view history cascade', /^gone: view history/],
  [
    'alter table event_cursors alter column position type numeric',
    /^gone: column event_cursors\.position bigint/,
  ],
  ['revoke insert on entries from scrip_runtime', /^gone: privilege INSERT on entries/],
  [
    "alter table accounts add column tier text not null default 'a';" +
      'alter table accounts alter column tier drop default',
    /^refuses: accounts\.tier must have a value/,
  ],
  [
    'alter table accounts add constraint wide check (length(account_id) < 100)',
    /^refuses: wide: CHECK/,
  ],
  ['create unique index one_plan on accounts (plan_id)', /^refuses: CREATE UNIQUE INDEX one_plan/],
])('it takes away: %s', async (sql, expected) => {
  expect(await missedAfter(sql)).toContainEqual(expect.stringMatching(expected));
});

/** What the SQL takes away from replicas of before. */
async function missedAfter(sql: string): Promise<readonly string[]> {
  const url = await createDatabase(inject('postgresUrl'));
  const before = await readSchema(url);
  await execute(url, sql);
  return missedBy(before, await readSchema(url));
}
