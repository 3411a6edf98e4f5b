/** What metrics say of the whole ledger, and that the query for it is bounded, however many rows there are. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { connect, type Orm } from '../../src/pg/orm.ts';
import { query } from '../../src/pg/query.ts';
import {
  LEDGER_FIGURES_SETTINGS,
  LEDGER_FIGURES_SQL,
  readLedgerFigures,
} from '../../src/queries/ledger-figures.ts';
import { entities } from '../../src/store/tables/index.ts';
import { execute } from '../postgres.ts';
import { requestId, startTestService } from '../service.ts';
import { nodesOf, type PlanNode } from './explained.ts';

const COUNTED_MAX = 1_000;
/** Far more than are counted. */
const ROWS = 20_000;
const NOW = Date.parse('2026-06-15T12:00:00Z');
const minutesAgo = (minutes: number): number => NOW - minutes * 60_000;

let databaseUrl: string;
let orm: Orm;

const figures = () => readLedgerFigures(orm.em.fork(), COUNTED_MAX);

/** Adds `rows` copies of the one row of a table, with these columns changed: SQL in which `n` counts. */
async function copyRow(table: string, rows: number, changes: Readonly<Record<string, string>>) {
  const changed = Object.entries(changes).map(([column, sql]) => `'${column}', ${sql}`);
  await execute(
    databaseUrl,
    `insert into ${table}
     select copy.* from (select t as one from ${table} t limit 1) r, generate_series(1, ${rows}) n,
       jsonb_populate_record(r.one, jsonb_build_object(${changed})) copy`,
  );
}

/** A ledger with one account, reservation, event and delivery. Its service has stopped. */
beforeAll(async () => {
  const scrip = await startTestService({
    frozenAt: NOW,
    env: {
      // Its events get deliveries that nobody takes.
      EVENTS_WEBHOOK_URL: 'http://127.0.0.1:1/',
      EVENTS_WEBHOOK_SECRET: `whsec_${Buffer.alloc(24).toString('base64')}`,
    },
  });
  const accountId = await scrip.open('perfectparser');
  await scrip.billing.reserve({ accountId, requestId: requestId(), credits: 1n });
  databaseUrl = scrip.databaseUrl;
  orm = await connect(databaseUrl, entities, 1, 10_000);
  // Spending the rest writes an event.
  await scrip.billing.charge({ accountId, requestId: requestId(), credits: 19n });
  await vi.waitUntil(async () => (await figures()).pendingDeliveries > 0, { timeout: 60_000 });
  await scrip.stop();
});
afterAll(() => orm.close());

test('of a ledger with one reservation: it, its age, and what is due next', async () => {
  expect(await figures()).toMatchObject({
    activeReservations: 1,
    oldestReservationAt: NOW,
    oldestEventAt: null,
    deadDeliveries: 0,
    pendingPurchases: 0,
    discrepancies: null,
    verifiedAt: null,
  });
  expect((await figures()).nextDueAt).toBeGreaterThan(NOW);
});

test('of audits: what the newest found, and when one last found nothing', async () => {
  const record = (minutes: number, discrepancies: number) =>
    execute(
      databaseUrl,
      `insert into verify_runs
       values (gen_random_uuid(), to_timestamp($1::float8 / 1000), 1, 1, $2)`,
      [minutesAgo(minutes), discrepancies],
    );
  await record(60, 0);
  await record(30, 3);
  expect(await figures()).toMatchObject({ discrepancies: 3, verifiedAt: minutesAgo(60) });
  await record(10, 0);
  expect(await figures()).toMatchObject({ discrepancies: 0, verifiedAt: minutesAgo(10) });
});

describe('of a large ledger', () => {
  const at = (minutes: number): string => `to_timestamp(${minutesAgo(minutes) / 1_000})`;

  beforeAll(async () => {
    const id = 'md5(n::text)::uuid';
    await copyRow('reservations', ROWS, { reservation_id: id, created_at: at(20) });
    await copyRow('accounts', ROWS, { account_id: "'copy-' || n", due_at: at(5) });
    await copyRow('events', ROWS, { event_id: id, seq: '1000 + n', position: 'null', at: at(7) });
    await copyRow('deliveries', ROWS, { event_id: id, position: '1000 + n', due_at: at(1) });
    const dead = {
      event_id: "md5('dead' || n)::uuid",
      position: '100000 + n',
      due_at: 'null',
      state: "'DEAD'",
    };
    await copyRow('deliveries', ROWS, { ...dead, ended_at: at(3) });
  });

  test('counts stop at the maximum, and the oldest is found all the same', async () => {
    expect(await figures()).toMatchObject({
      activeReservations: COUNTED_MAX,
      oldestReservationAt: minutesAgo(20),
      nextDueAt: minutesAgo(5),
      oldestEventAt: minutesAgo(7),
      pendingDeliveries: COUNTED_MAX,
      deadDeliveries: COUNTED_MAX,
    });
  });

  test('every part reads an index in its order, and no more rows than are counted', async () => {
    const sql = LEDGER_FIGURES_SQL.replaceAll('$1', String(COUNTED_MAX));
    const [row] = await orm.em.fork().transactional(async (em) => {
      await query(em, LEDGER_FIGURES_SETTINGS, []);
      return await query<{ 'QUERY PLAN': { Plan: PlanNode }[] | string }>(
        em,
        `explain (analyze, format json) ${sql}`,
        [],
      );
    });
    const plan = row?.['QUERY PLAN'];
    const [{ Plan: root }] = typeof plan === 'string' ? JSON.parse(plan) : plan;
    const nodes = [...nodesOf(root)];
    const reads = nodes.filter((node) => node['Relation Name'] !== undefined);
    expect(reads).toHaveLength(9);
    for (const read of reads) {
      expect(read['Node Type']).toMatch(/^Index (Only )?Scan$/);
      expect(read['Actual Rows'], read['Index Name']).toBeLessThanOrEqual(COUNTED_MAX);
      expect(read['Rows Removed by Filter'] ?? 0, read['Index Name']).toBe(0);
    }
    expect(nodes.filter((node) => node['Node Type'] === 'Sort')).toEqual([]);
  });
});
