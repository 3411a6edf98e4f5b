/** `scrip plans …` as a process, on a database with known figures. */

import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatMonth, monthStart } from '../../src/ledger/month.ts';
import { mapOf } from '../../src/map-of.ts';
import { preview } from '../../src/preview/preview.ts';
import { DAY, defined, grant } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { planIn } from '../pricing/fixtures.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;

const pages = (credits: number) => `
      job.pages:
        title: Pages
        billable: true
        quantities: { pages: { title: Pages, unit: page, min: 1, max: 500 } }
        components: [{ kind: per_unit, label: Page, quantity: pages, credits: ${credits} }]`;
const FLAT = `
      job.flat:
        title: Flat
        billable: true
        components: [{ kind: flat, label: Job, credits: 7 }]`;
const plan = (allowance: number, operations: string, more = '') => `
plan_id: metered
title: Metered
terms:
  allowance: { credits: ${allowance}, every: month, rollover: none }
packs: []
operations: ${operations}
${more}`;

const NOW = plan(50, pages(3) + FLAT);
/** A page costs 4 credits, and the flat job is removed. */
const NEXT = plan(30, pages(4));
/** The same as dated changes of the current file. */
const CHANGES = plan(
  30,
  pages(3) + FLAT,
  `changes:
  - from: 2032-01-01
    operations: ${pages(4)}
    ends: [job.flat]
  - from: 2033-01-01
    operations: ${pages(10)}`,
);

const JANUARY = Date.UTC(2031, 0, 10);

let scrip: TestService;
let directory: string;
beforeAll(async () => {
  scrip = await startTestService({ plans: [planIn(NOW), planIn(NOW.replace('metered', 'other'))] });
  directory = await mkdtemp(join(tmpdir(), 'scrip-preview-'));
  for (const [name, text] of Object.entries({ now: NOW, next: NEXT, changes: CHANGES }))
    await writeFile(join(directory, `${name}.yaml`), text);
  await useAccounts();
});
afterAll(async () => {
  await scrip.stop();
  await rm(directory, { recursive: true });
});

type Result = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };

function run(args: readonly string[], env: Record<string, string> = {}): Promise<Result> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [MAIN, ...args],
      {
        cwd: directory,
        env: { PATH: process.env['PATH'], DATABASE_URL: scrip.databaseUrl, ...env },
      },
      (_error, stdout, stderr) => resolve({ exitCode: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

const runPreview = (...args: string[]) => run(['plans', 'preview', ...args]);

/** Calls of one account. */
function callerOf(accountId: string) {
  const ids = () => ({ accountId, requestId: requestId() });
  const ofPages = (count: bigint) => ({
    usages: { items: [{ operation: 'job.pages', quantities: mapOf({ pages: count }) }] },
  });
  return {
    charge: (amount: object) => scrip.billing.charge({ ...ids(), ...amount }),
    async job(reserved: bigint, committed: object) {
      const { reservation } = await scrip.billing.reserve({ ...ids(), ...ofPages(reserved) });
      const { reservationId } = defined(reservation);
      await scrip.billing.commit({ ...ids(), reservationId, ...committed });
    },
    refund: (seq: bigint, credits: bigint) =>
      scrip.billing.refund({ reason: 'a test', ...ids(), seq, credits }),
    ofPages,
  };
}

const FLAT_JOB = { usages: { items: [{ operation: 'job.flat' }] } };

async function open(accountId: string, planId = 'metered') {
  await scrip.accounts.openAccount({ accountId, requestId: requestId(), planId });
  await grant(scrip, accountId, 1_000n);
  return callerOf(accountId);
}

/** Charges the accounts. The comments give the credits charged, and the credits by the new prices. */
async function useAccounts() {
  scrip.setNow(monthStart(Date.now(), -1) + 5 * DAY);
  const { charge, ofPages } = await open('lastmonth');
  await charge(ofPages(2n));

  scrip.setNow(Date.UTC(2030, 11, 31, 12));
  const alice = await open('alice');
  await alice.charge(alice.ofPages(100n)); // in December
  scrip.setNow(JANUARY);
  await alice.charge(alice.ofPages(10n)); // 30, now 40
  await alice.charge({ credits: 5n }); // 5, without usages
  await alice.job(4n, { all: true }); // in full: 12, now 16
  await alice.job(10n, { credits: 10n }); // a third of it: 10, now 13
  await alice.job(10n, alice.ofPages(1n)); // 3, now 4
  const { entrySeq } = await alice.charge(alice.ofPages(2n)); // 6, of which 3 are refunded; now 4
  await alice.refund(entrySeq, 3n);

  const bob = await open('bob');
  await bob.charge(FLAT_JOB);
  await bob.charge({
    usages: { items: [...FLAT_JOB.usages.items, ...bob.ofPages(1n).usages.items] },
  });
  await open('carol');
  const dave = await open('dave', 'other');
  await dave.charge(dave.ofPages(1n));
}

const ALICE = [6, 63, 82, 19, 13, 52, 5, 0, 0];
const BOB = [2, 17, 4, -13, 0, 0, 0, 2, 14];
const NO_CHARGES = [0, 0, 0, 0, 0, 0, 0, 0, 0];
const ROWS = [
  ['alice', ...ALICE],
  ['bob', ...BOB],
  ['carol', ...NO_CHARGES],
  ['lastmonth', ...NO_CHARGES],
];
const csv = (rows: readonly (readonly unknown[])[]) => rows.map((row) => row.join(',')).join('\n');
const HEAD = [
  'account_id',
  'charges',
  'credits_then',
  'credits_now',
  'difference',
  'beyond_allowance_then',
  'beyond_allowance_now',
  'unnamed_credits',
  'refused_usages',
  'refused_credits',
];

describe('plans preview', () => {
  test('writes CSV with what each account paid and would have paid', async () => {
    const ran = await runPreview('next.yaml', '--month', '2031-01', '--format', 'csv');
    expect(ran.stdout).toBe(`${csv([HEAD, ...ROWS])}\n`);
    expect(ran.exitCode).toBe(0);
    expect(ran.stderr).toContain('4 accounts: charges 8, credits_then 80, credits_now 86');
    expect(ran.stderr).toContain('refused: job.flat, UNKNOWN_OPERATION, 2 usages that cost 14');
  });

  test('writes one JSON document, or a table', async () => {
    const json = await runPreview('next.yaml', '--month', '2031-01', '--format', 'json');
    const document = JSON.parse(json.stdout);
    expect(document).toMatchObject({
      plan_id: 'metered',
      accounts_of: 'metered',
      month: '2031-01',
    });
    expect(document.accounts.map(Object.values)).toEqual(ROWS.map((row) => row.map(String)));
    expect(document.total).toMatchObject({
      accounts: '4',
      credits_then: '80',
      credits_now: '86',
      refusals: [
        { operation: 'job.flat', reason: 'UNKNOWN_OPERATION', usages: '2', credits: '14' },
      ],
    });
    const table = await runPreview('next.yaml', '--month', '2031-01');
    const cells = table.stdout.split('\n').map((line) => line.trim().split(/ {2,}/));
    expect(cells).toContainEqual(['alice', ...ALICE.map(String)]);
    expect(cells).toContainEqual(['total of 4', '8', '80', '86', ...cells.at(-3)!.slice(4)]);
  });

  test('uses the prices after the last change, or with --at those of an instant', async () => {
    const creditsOfAlice = async (...args: string[]) => {
      const ran = await runPreview(
        'changes.yaml',
        '--month',
        '2031-01',
        '--format',
        'csv',
        ...args,
      );
      return ran.stdout.split('\n')[1]?.split(',').slice(2, 4);
    };
    expect(await creditsOfAlice('--at', '2032-06-01')).toEqual(['63', '82']);
    expect(await creditsOfAlice('--at', '2031-06-01')).toEqual(['63', '63']);
    // 100 + 5 + 40 + 33 + 10 + 10
    expect(await creditsOfAlice()).toEqual(['63', '198']);
  });

  test('uses last month by default, and with --accounts-of the accounts of another plan', async () => {
    const last = await runPreview('next.yaml', '--format', 'json');
    const document = JSON.parse(last.stdout);
    expect(document.month).toBe(formatMonth(monthStart(Date.now(), -1)));
    expect(document.total).toMatchObject({ charges: '1', credits_then: '6', credits_now: '8' });
    const other = await runPreview(
      'next.yaml',
      ...['--accounts-of', 'other', '--month', '2031-01', '--format', 'json'],
    );
    expect(JSON.parse(other.stdout)).toMatchObject({
      accounts_of: 'other',
      accounts: [{ account_id: 'dave', credits_then: '3', credits_now: '4' }],
    });
  });

  test('reads one snapshot, even if an account is charged meanwhile', async () => {
    const planFile = planIn(NEXT);
    const seen: unknown[][] = [];
    const carol = callerOf('carol');
    const totals = await preview(
      scrip.databaseUrl,
      {
        planFile,
        rateCard: planFile.rateCard,
        accountsOf: 'metered',
        from: Date.UTC(2031, 0, 1),
        until: Date.UTC(2031, 1, 1),
      },
      async ({ accountId, creditsThen, creditsNow }) => {
        if (accountId === 'alice') await carol.charge(carol.ofPages(1n));
        seen.push([accountId, creditsThen, creditsNow]);
      },
    );
    expect(seen[2]).toEqual(['carol', 0n, 0n]);
    expect(totals).toMatchObject({ accounts: 4n, creditsThen: 80n, creditsNow: 86n });
  });

  test('previews more accounts than one page of the cursor', async () => {
    const mutations = (batch: number) =>
      Array.from({ length: 1_000 }, (_, index) => {
        const accountId = `many-${batch * 1_000 + index}`;
        const value = { accountId, requestId: 'open', planId: 'other' };
        return { mutation: { $case: 'openAccount' as const, value } };
      });
    for (const batch of [0, 1, 2]) await scrip.billing.batch({ mutations: mutations(batch) });
    await open('-1:A1', 'other');
    const args = ['--accounts-of', 'other', '--month', '2031-01', '--format', 'csv'];
    const ran = await runPreview('next.yaml', ...args);
    expect(ran.stdout.trim().split('\n')).toHaveLength(3_003);
    // A spreadsheet reads the id as text, not as a formula.
    expect(ran.stdout).toContain("\n'-1:A1,0,");
    expect(ran.stderr).toContain('3002 accounts: charges 1, ');
  });

  test('reports an error in one line', async () => {
    await writeFile(join(directory, 'wrong.yaml'), NEXT.replace('billable: true', 'billable: 1'));
    for (const [args, exitCode, says] of [
      [['wrong.yaml'], 1, /^wrong\.yaml: line 10: operations\["job\.pages"\]\.billable: must be/],
      [['missing.yaml'], 2, /^scrip: there is no file missing\.yaml/],
      [['next.yaml', '--month', '2031-13'], 2, /^scrip: --month must be a month.*usage: /],
      [['next.yaml', '--at', 'soon'], 2, /^scrip: --at must be a date/],
      [['next.yaml', '--format', 'xml'], 2, /^scrip: --format must be table, csv, json/],
      [['next.yaml', '--accounts-of', 'gold'], 2, /^scrip: the database has no plan gold/],
      [[], 2, /^scrip: missing required argument 'plan-file'; usage: /],
    ] as const) {
      const ran = await runPreview(...args);
      expect(ran).toMatchObject({ exitCode, stdout: '' });
      expect(ran.stderr).toMatch(says);
      expect(ran.stderr.trim().split('\n')).toHaveLength(1);
    }
  });
});

test('plans check lists every error of files and folders, and reports valid ones', async () => {
  const valid = await run(['plans', 'check', 'changes.yaml']);
  expect(valid).toEqual({
    exitCode: 0,
    stderr: '',
    stdout: 'changes.yaml: plan metered is valid (operations: 2, changes: 2)\n',
  });
  const folder = await run(['plans', 'check', directory]);
  expect(folder.exitCode).toBe(1);
  expect(folder.stdout).toContain('next.yaml: plan_id: metered is in');
  await writeFile(
    join(directory, 'unpayable.txt'),
    NOW.replace(
      'packs: []',
      'packs:\n  - { pack_id: a, title: A, credits: 1, price: 5 UDS, validity: never }',
    ),
  );
  expect(await run(['plans', 'check', 'unpayable.txt'])).toMatchObject({
    exitCode: 1,
    stdout: 'unpayable.txt: line 7: packs[0].price: UDS is not a currency of ISO 4217\n',
  });
  const deployed = await run(['plans', 'check']);
  expect(deployed).toMatchObject({ exitCode: 0, stderr: '' });
  expect(deployed.stdout.trim().split('\n')).toHaveLength(3);
});

test('plans list prints the plans of the database with their versions and dates', async () => {
  const later = Date.now() + 30 * DAY;
  const change = `changes: [{ from: ${new Date(later).toISOString()}, ends: [job.flat] }]`;
  const text = `${NOW.replace('metered', 'listed')}${change}\n`;
  const replica = await startTestService({ databaseUrl: scrip.databaseUrl, plans: [planIn(text)] });
  await replica.stop();
  const ran = await run(['plans', 'list']);
  expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
  const [count] = await execute(
    scrip.databaseUrl,
    `select count(*) as accounts from accounts where plan_id = 'metered'`,
  );
  expect(ran.stdout.split('\n')).toEqual(
    expect.arrayContaining([
      `listed: Metered; accounts 0; rate card version 1 in force, 2 from ${new Date(later).toISOString()}`,
      `metered: Metered; accounts ${count?.['accounts']}; rate card version 1 in force`,
    ]),
  );
});

test('--help lists the commands, and an unknown command is an error', async () => {
  const ofPlans = ['plans check', 'plans publish', 'plans status'];
  for (const [args, names] of [
    [[], [...ofPlans, 'purchases resolve', 'trace <id>']],
    [['--help'], [...ofPlans, 'purchases resolve', 'trace <id>']],
    [['plans'], ofPlans],
    [['plans', '--help'], ofPlans],
  ] as const) {
    const ran = await run(args);
    expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
    for (const name of names) expect(ran.stdout).toContain(`scrip ${name}`);
  }
  const one = await run(['plans', 'preview', '--help']);
  expect(one.stdout).toMatch(/^usage: scrip plans preview <plan-file>/);
  expect(await run(['plans', 'burn'])).toMatchObject({
    exitCode: 2,
    stdout: '',
    stderr:
      'scrip: there is no command "plans burn"; there are check, list, diff, preview, publish, status; --help lists the commands\n',
  });
  expect((await run(['plan'])).stderr).toBe(
    'scrip: there is no command "plan"; did you mean plans?; --help lists the commands\n',
  );
});
