/** `scrip rerate`, against a running service: what a wrong price has charged, and its corrections. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { applyCorrections } from '../../src/cli/rerate/apply.ts';
import { Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { connect as connectOrm, type Orm } from '../../src/pg/orm.ts';
import { publishAt } from '../../src/plan-publication.ts';
import { findRateCard } from '../../src/rerate/find-rate-card.ts';
import { rerate } from '../../src/rerate/rerate.ts';
import { entities } from '../../src/store/tables/index.ts';
import { verify } from '../../src/verify/verify.ts';
import { balanceOf, defined, entriesOf, grant, HOUR } from '../accounts.ts';
import { failAfter } from '../cli/failing-proxy.ts';
import { capture } from '../cli/in-process.ts';
import { execute } from '../postgres.ts';
import { planIn } from '../pricing/fixtures.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const START = Date.UTC(2031, 4, 10, 12);

const planAt = (planId: string, read: number, look: number, overage = '') =>
  planIn(`
plan_id: ${planId}
title: ${planId}
terms:
  reservation: { ttl: 15m, max_ttl: 1h, grace: 1h }
${overage}
packs: []
operations:
  read:
    title: Reads pages
    billable: true
    quantities: { pages: { title: Pages, unit: page, min: 1, max: 1000 } }
    components: [{ kind: per_unit, label: Pages, quantity: pages, credits: ${read} }]
  look: { title: Looks, billable: true, components: [{ kind: flat, label: Look, credits: ${look} }] }
`);

const OVERAGE =
  '  overage: { limit: 100, mode: graduated, currency: USD, tiers: [{ price: "1" }] }';

/** Version 1 charged too much for reading and too little for looking; version 2 is right; 3 is another. */
const versions = (planId: string, overage = '') => [
  planAt(planId, 3, 1, overage),
  planAt(planId, 2, 4, overage),
  planAt(planId, 1, 4, overage),
];

/** Each test has a plan of its own, so that it rerates its own charges. */
const NAMES = Array.from({ length: 15 }, (_, index) => `plan-${index + 1}`);
const BY_PLAN = [...NAMES.map((name) => versions(name)), versions('metered', OVERAGE)];
let plans = 0;
let planId: string;

let scrip: TestService;
let orm: Orm;
beforeAll(async () => {
  scrip = await startTestService({
    plans: BY_PLAN.map(([first]) => defined(first)),
    frozenAt: START,
  });
  orm = await connectOrm(scrip.databaseUrl, entities, 4, 30_000);
  for (const index of [1, 2]) {
    scrip.advance(1);
    // The service goes on with version 1, which is in force until then.
    const next = BY_PLAN.map((all) => defined(all[index]));
    await publishAt(scrip.databaseUrl, next, scrip.now() + 1_000 * HOUR * index);
  }
});
afterAll(async () => {
  await scrip.service.countUsage();
  await scrip.service.countMovements();
  expect(await verify(scrip.databaseUrl, { all: true })).toMatchObject({ ok: true });
  await orm.close();
  await scrip.stop();
});

async function open(credits = 1_000n, ofPlan = `plan-${++plans}`): Promise<string> {
  planId = ofPlan;
  const accountId = await scrip.open(planId);
  if (credits > 0n) await grant(scrip, accountId, credits);
  return accountId;
}
const named = (accountId: string) => ({ accountId, requestId: requestId() });
const pages = (count: bigint) => ({
  items: [{ operation: 'read', quantities: mapOf({ pages: count }), count: 1n }],
});
const LOOK = { items: [{ operation: 'look', count: 1n }] };
const read = (accountId: string, count: bigint) =>
  scrip.billing.charge({ ...named(accountId), usages: pages(count) });
const look = (accountId: string) => scrip.billing.charge({ ...named(accountId), usages: LOOK });

const address = () => `127.0.0.1:${scrip.service.port}`;
const run = (...args: string[]) => runAt(address(), ...args);

async function runAt(addresses: string, ...args: string[]) {
  const { exitCode, lines } = await capture(['rerate', planId, ...args], {
    DATABASE_URL: scrip.databaseUrl,
    SCRIP_ADDRESS: addresses,
  });
  const textOf = (of: string) => lines.flatMap(({ stream, text }) => (stream === of ? text : []));
  return { exitCode, stdout: textOf('stdout'), stderr: textOf('stderr').join('\n') };
}

const RIGHT = ['--wrong', '1', '--right', '2'];
const APPLY = ['--apply', '--reason', 'a wrong price', '--caller', 'ops:anna'];

/** Of each charge, what was charged, should have been, and what became of it. */
async function listed(...args: string[]): Promise<readonly string[]> {
  const { stdout } = await run(...args, '--csv');
  return stdout.slice(1).map((line) => line.trim().split(',').slice(7, 11).join(' '));
}

const available = async (accountId: string) => (await balanceOf(scrip, accountId)).available;

describe('a dry run', () => {
  test('lists what should have cost something else, and writes nothing', async () => {
    const accountId = await open();
    const charged = await read(accountId, 10n);
    await look(accountId);
    await scrip.billing.charge({ ...named(accountId), credits: 7n });
    const before = await entriesOf(scrip, accountId);
    const { exitCode, stdout, stderr } = await run(...RIGHT, '--csv');
    expect(exitCode).toBe(1);
    expect(stdout[0]?.trim()).toBe(
      'account,entry,at,request,reservation,version,operations,charged,should_cost,difference,state,why',
    );
    const [entry] = before.filter(({ seq }) => seq === charged.entrySeq);
    expect(stdout[1]?.trim()).toBe(
      `${accountId},${charged.entrySeq},${new Date(scrip.now()).toISOString()},${entry?.requestId},,1,read,30,20,-10,to refund,`,
    );
    expect(await listed(...RIGHT)).toEqual(['30 20 -10 to refund', '1 4 3 to charge']);
    expect(stderr).toBe(
      '2 charges: to charge 1 (3), to refund 1 (-10); dry run: nothing was written',
    );
    expect(await entriesOf(scrip, accountId)).toEqual(before);
  });

  test('sums by account', async () => {
    const accountId = await open();
    await read(accountId, 10n);
    await read(accountId, 20n);
    const { stdout } = await run(...RIGHT, '--by', 'account', '--csv');
    expect(stdout.map((line) => line.trim())).toEqual([
      'account,charges,charged,should_cost,difference,states',
      `${accountId},2,90,60,-30,to refund 2 (-30)`,
    ]);
  });

  test('is of a version, a time, an operation, an account', async () => {
    const accountId = await open();
    await read(accountId, 10n);
    scrip.advance(HOUR);
    const later = new Date(scrip.now()).toISOString();
    await scrip.billing.charge({
      ...named(accountId),
      usages: { items: [...pages(5n).items, ...LOOK.items] },
    });
    const since = ['--from', later, '--to', '2032-01-01', '--right', '2'];
    expect(await listed(...since)).toEqual(['16 14 -2 to refund']);
    // The other operation of the charge keeps its price.
    expect(await listed(...since, '--operation', 'read')).toEqual(['16 11 -5 to refund']);
    expect(await listed(...since, '--operation', 'look')).toEqual(['16 19 3 to charge']);
    expect(await listed('--wrong', '3', '--right', '2')).toEqual([]);
    expect(await listed(...RIGHT, '--account', 'nobody')).toEqual([]);
    expect(await listed(...RIGHT, '--account', accountId)).toHaveLength(2);
  });

  test.each([
    [['--wrong', '1'], '--right'],
    [['--right', '2'], '--wrong, or --from and --to, is needed'],
    [['--right', '2', '--wrong', '2'], 'must be two versions'],
    [
      ['--right', '9', '--wrong', '1'],
      'plan plan-1 has no rate card of version 9; it must be 1 to 3',
    ],
    [['--right', 'two', '--wrong', '1'], "'two' is invalid. It must be a whole number, 1 to"],
    // More than the database has place for.
    [['--right', '2', '--wrong', '2147483648'], 'must be a whole number, 1 to 2147483647'],
    [[...RIGHT, '--operation', 'write'], 'has no operation write'],
    [[...RIGHT, '--operation', 'reed'], 'has no operation reed; did you mean read?'],
    [[...RIGHT, '--apply'], '--apply and --reason go together'],
    [[...RIGHT, '--by', 'caller'], '--by must be charge or account'],
  ])('of %j is refused', async (args, message) => {
    planId = 'plan-1';
    const { exitCode, stderr } = await run(...args);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(message);
  });
});

test.each([
  ['meterd', 'there is no plan meterd; did you mean metered?'],
  ['nope', 'there is no plan nope; there are metered, plan-1, plan-10,'],
])('plan %s is refused', async (name, message) => {
  planId = name;
  const { exitCode, stderr } = await run(...RIGHT);
  expect(exitCode).toBe(2);
  expect(stderr).toContain(message);
});

describe('--apply', () => {
  test('refunds what was too much, linked to the charge, and says who and why', async () => {
    const accountId = await open();
    const { entrySeq } = await read(accountId, 10n);
    const { exitCode, stdout } = await run(...RIGHT, ...APPLY, '--csv');
    expect(exitCode).toBe(0);
    expect(stdout[1]).toContain(',30,20,-10,refunded,');
    expect(await available(accountId)).toBe(980n);
    expect((await entriesOf(scrip, accountId)).at(-1)).toMatchObject({
      kind: Entry_Kind.REFUND,
      refundedSeq: entrySeq,
      credits: 10n,
      caller: 'ops:anna',
      details: mapOf({ reason: 'a wrong price' }),
    });
  });

  test('lists each charge once where an address stops to answer on the way', async () => {
    const accountId = await open();
    for (let charges = 0; charges < 70; charges++) await look(accountId);
    const first = await failAfter(67, '/billing.v1.BillingService/Charge', address());
    const addresses = `${first.address},${address()}`;
    const { exitCode, stdout, stderr } = await runAt(addresses, ...RIGHT, ...APPLY, '--csv');
    first.stop();
    expect(exitCode).toBe(0);
    const entries = stdout.slice(1).map((line) => line.split(',')[1]);
    expect(new Set(entries).size).toBe(70);
    expect(entries).toHaveLength(70);
    expect(stderr).toMatch(/^70 charges: /);
    expect(await available(accountId)).toBe(1_000n - 70n * 4n);
  });

  test('charges what was too little, with the labels and a reference to the charge', async () => {
    const accountId = await open();
    const labels = mapOf({ team: 'media' });
    const { entrySeq } = await scrip.billing.charge({ ...named(accountId), usages: LOOK, labels });
    expect((await run(...RIGHT, ...APPLY)).exitCode).toBe(0);
    expect(await available(accountId)).toBe(996n);
    expect((await entriesOf(scrip, accountId)).at(-1)).toMatchObject({
      kind: Entry_Kind.CHARGE,
      credits: 3n,
      reference: `rerate of entry ${entrySeq}`,
      labels,
      caller: 'ops:anna',
    });
  });

  test('does nothing twice', async () => {
    const accountId = await open();
    await read(accountId, 10n);
    await look(accountId);
    await run(...RIGHT, ...APPLY);
    const after = await entriesOf(scrip, accountId);
    expect(await listed(...RIGHT, ...APPLY)).toEqual(['30 20 -10 done', '1 4 3 done']);
    expect((await run(...RIGHT, ...APPLY)).exitCode).toBe(0);
    expect(await entriesOf(scrip, accountId)).toEqual(after);
  });

  test('does not overdraw: what cannot be paid is listed, and charged later', async () => {
    const poor = await open(2n);
    const rich = await scrip.open(planId);
    await grant(scrip, rich, 100n);
    await look(poor);
    await look(rich);
    const first = await run(...RIGHT, ...APPLY);
    expect(first.exitCode).toBe(1);
    expect(first.stderr).toContain('INSUFFICIENT_CREDITS 1 (3), charged 1 (3)');
    expect([await available(poor), await available(rich)]).toEqual([1n, 96n]);
    await grant(scrip, poor, 10n);
    expect((await run(...RIGHT, ...APPLY)).exitCode).toBe(0);
    expect([await available(poor), await available(rich)]).toEqual([8n, 96n]);
  });

  test('charges nothing while the account is in shadow mode, and charges it afterwards', async () => {
    const accountId = await open();
    await look(accountId);
    const before = await available(accountId);
    const shadow = (enabled: boolean) =>
      scrip.accounts.setShadowMode({ ...named(accountId), enabled, reason: 'a test' });
    await shadow(true);
    const first = await run(...RIGHT, ...APPLY);
    expect(first.exitCode).toBe(1);
    expect(first.stderr).toContain('by hand 1 (3)');
    await shadow(false);
    expect((await run(...RIGHT, ...APPLY)).exitCode).toBe(0);
    expect(await available(accountId)).toBe(before - 3n);
  });

  test('charges overage where the plan allows it', async () => {
    const accountId = await open(0n, 'metered');
    await look(accountId);
    expect((await run(...RIGHT, ...APPLY)).exitCode).toBe(0);
    expect((await balanceOf(scrip, accountId)).overage).toBe(4n);
  });

  test('goes on where it was stopped, also beside another run', async () => {
    const accounts = [await open(), await scrip.open(planId)];
    await grant(scrip, defined(accounts[1]), 1_000n);
    for (const accountId of accounts)
      for (let index = 0; index < 80; index++)
        await (index % 2 === 0 ? read(accountId, 1n) : look(accountId));
    const right = defined((await findRateCard(orm.em.fork(), planId, 2)) ?? undefined);
    const filter = { planId, rateCardVersion: 1, from: null, to: null, operation: '' };
    const apply = async (stopAfter: number) => {
      const charges = rerate(() => orm.em.fork(), filter, right, null);
      let done = 0;
      for await (const _ of applyCorrections(scrip, charges, 2, 'a wrong price'))
        if (++done === stopAfter) break;
    };
    await apply(70);
    await Promise.all([apply(160), apply(160), apply(100)]);
    // 40 pages for 2 instead of 3 credits, 40 looks for 4 instead of 1.
    for (const accountId of accounts) expect(await available(accountId)).toBe(1_000n - 80n - 160n);
    expect((await run(...RIGHT)).exitCode).toBe(0);
  });
});

describe('a charge', () => {
  test('that was refunded in full owes nothing', async () => {
    const accountId = await open();
    for (const charge of [await read(accountId, 10n), await look(accountId)])
      await scrip.billing.refund({
        ...named(accountId),
        seq: charge.entrySeq,
        all: true,
        reason: 'blank',
      });
    expect(await run(...RIGHT)).toMatchObject({
      exitCode: 0,
      stdout: [],
      stderr: 'every charge costs what it should',
    });
  });

  test('that was refunded in part should have cost the same part', async () => {
    const accountId = await open();
    const { entrySeq: seq } = await read(accountId, 10n);
    await scrip.billing.refund({ ...named(accountId), seq, credits: 15n, reason: 'half' });
    expect(await listed(...RIGHT)).toEqual(['15 10 -5 to refund']);
    await run(...RIGHT, ...APPLY);
    expect(await available(accountId)).toBe(990n);
    await scrip.billing.refund({ ...named(accountId), seq, all: true, reason: 'all of it' });
    expect(await listed(...RIGHT)).toEqual(['5 0 -5 done']);
    expect(await available(accountId)).toBe(1_000n);
  });

  test('that commits a part of a reservation without usages costs that part of its price', async () => {
    const accountId = await open();
    const { reservation } = await scrip.billing.reserve({
      ...named(accountId),
      usages: pages(10n),
    });
    const { reservationId } = defined(reservation);
    const of = { ...named(accountId), reservationId };
    await scrip.billing.commit({ ...of, credits: 15n, final: false });
    await scrip.billing.commit({ ...of, requestId: requestId(), all: true });
    expect(await listed(...RIGHT)).toEqual(['15 10 -5 to refund', '15 10 -5 to refund']);
    await run(...RIGHT, ...APPLY);
    expect(await available(accountId)).toBe(980n);
  });

  test('that was rerated is rerated to another version by what was paid in the end', async () => {
    const accountId = await open();
    await read(accountId, 10n);
    await run(...RIGHT, ...APPLY);
    expect(await listed('--wrong', '1', '--right', '3')).toEqual(['20 10 -10 to refund']);
    await run('--wrong', '1', '--right', '3', ...APPLY);
    expect(await available(accountId)).toBe(990n);
    expect(await listed(...RIGHT)).toEqual(['30 10 -20 done']);
  });
});

test('usage reports follow refunds and additional charges', async () => {
  await scrip.service.countUsage();
  const [row] = await execute(
    scrip.databaseUrl,
    `select sum(credits - refunded)::text as used from usage_rollups where label = '' and not beyond`,
  );
  const [moved] = await execute(
    scrip.databaseUrl,
    `select sum(case when to_bucket = 'consumed' then credits else -credits end)::text as used from history_moves
     where 'consumed' in (from_bucket, to_bucket)`,
  );
  expect(row).toEqual(moved);
});
