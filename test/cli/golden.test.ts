/** What every command shows is what the files in golden/ show; `vitest -u` writes them. */
import '../../src/telemetry/sdk.ts';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { scrip as program } from '../../src/cli/scrip.ts';
import { monthStart } from '../../src/ledger/month.ts';
import { publishAt } from '../../src/plan-publication.ts';
import { DAY } from '../accounts.ts';
import { type PolicedService, startPoliced } from '../authorization/policed-service.ts';
import { insertMismatched } from '../payments/given.ts';
import { createDatabase, createEmptyDatabase, execute } from '../postgres.ts';
import { startSandbox, type TestSandbox } from '../sandbox/sandbox-service.ts';
import { plansOfDeploy } from '../service.ts';
import { type Captured, capture } from './in-process.ts';
import { runScrip } from './run-scrip.ts';
import { SCENARIO, type Typed } from './scenario.ts';
import { Masks, transcriptOf } from './transcript.ts';

const root = new URL('../..', import.meta.url).pathname;
const golden = new URL('golden', import.meta.url).pathname;

let scrip: PolicedService;
let databaseUrl: string;
let sandbox: TestSandbox;
let emptyUrl: string;
/** Folder of files that the scenario names. */
let plans: string;
/** Of the PostgreSQL that runs for the tests. */
let dataDirectory: string;
/** The newest of what was made. */
const made = { reservation: '', purchase: '', payment: '' };

beforeAll(async () => {
  scrip = await startPoliced('', { frozenAt: Date.UTC(2031, 0, 15, 10) });
  databaseUrl = await createDatabase(inject('postgresUrl'));
  await publishAt(databaseUrl, await plansOfDeploy(), Date.now());
  plans = await mkdtemp(join(tmpdir(), 'scrip-golden-'));
  await writePlans();
  await buy();
  sandbox = await startSandbox();
  made.payment = await orderInSandbox();
  emptyUrl = await createEmptyDatabase(inject('postgresUrl'));
  const [row] = await execute(databaseUrl, 'show data_directory');
  dataDirectory = dirname(String(row?.['data_directory']));
});
afterAll(async () => {
  await scrip.stop();
  await sandbox.stop();
  await rm(plans, { recursive: true });
});

/** A purchase that is paid, and one that was paid in another amount than ordered. */
async function buy() {
  const accountId = 'shop';
  await scrip.accounts.openAccount({ accountId, requestId: 'open', planId: 'verts' });
  const payment = { $case: 'paymentReference' as const, value: 'invoice-7' };
  await scrip.billing.purchase({ accountId, requestId: 'buy', packId: 'starter', payment });
  made.purchase = await insertMismatched(scrip, accountId);
}

/** An account with an allowance, and one that is to pay for a pack. */
async function orderInSandbox(): Promise<string> {
  for (const planId of ['verts', 'aspose-cloud'])
    await sandbox.accounts.openAccount({ accountId: planId, requestId: 'open', planId });
  // The eleventh of a month: in 40 days there is one more end of a month.
  await sandbox.advanceTo(monthStart(sandbox.now(), 1) + 10 * DAY);
  const url = 'https://shop.example/';
  const payment = { $case: 'checkout' as const, value: { successUrl: url, cancelUrl: url } };
  const request = { accountId: 'verts', requestId: 'buy', packId: 'starter', payment };
  return (await sandbox.billing.purchase(request)).purchase?.purchaseId ?? '';
}

async function writePlans() {
  await writeFile(
    join(plans, 'old-charges.csv'),
    [
      'account_id,id,operation,credits,at',
      'moving,job-1,image.upscale,12,2031-01-15',
      'moving,job-2,image.upscale,10,2031-01-15',
    ].join('\n'),
  );
  const verts = await readFile(`${root}deploy/plans/verts.yaml`, 'utf8');
  const next = verts.replace(
    'label: File inspection, credits: 1',
    'label: File inspection, credits: 2',
  );
  await writeFile(join(plans, 'next.yaml'), next);
  const broken = verts.replace(
    'label: File inspection, credits: 1',
    'label: File inspection, credits: one',
  );
  await writeFile(join(plans, 'broken.yaml'), broken);
  const purchase = {
    ...{ pack_id: 'starter', credits: 1_000, price: '5.00 USD', paid_at: '2030-06-01' },
    ...{ payment_reference: 'invoice-1', spent: 200 },
  };
  const accounts = [
    { account_id: 'taken-over', plan_id: 'verts', opened_at: '2030-05-01', purchases: [purchase] },
  ];
  const write = (name: string, records: readonly object[]) =>
    writeFile(join(plans, name), records.map((one) => `${JSON.stringify(one)}\n`).join(''));
  await write('accounts.jsonl', accounts);
  await write('mistakes.jsonl', [
    { ...accounts[0], account_id: 'a', opened_at: '2030-13-01' },
    {
      ...accounts[0],
      account_id: 'b',
      purchases: [{ ...purchase, pack_id: 'startr', spent: 1_001 }],
    },
  ]);
  const { privateKey } = generateKeyPairSync('ed25519');
  await writeFile(join(plans, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
}

const leavesOf = (command: Command): readonly Command[] =>
  command.commands.length > 0 ? command.commands.flatMap(leavesOf) : [command];

const nameOf = (command: Command): string =>
  command.parent?.parent ? `${command.parent.name()} ${command.name()}` : command.name();

const names = leavesOf(program).map(nameOf);

test('every command has its transcript, and no other is there', async () => {
  expect(Object.keys(SCENARIO).toSorted()).toEqual(names.toSorted());
  const files = names.map((name) => `${name.replace(' ', '-')}.txt`);
  expect((await readdir(golden)).toSorted()).toEqual([...files, 'scrip.txt'].toSorted());
});

describe.each(Object.entries(SCENARIO))('%s', (name, all) => {
  test('has a success or a refusal, and a mistake', () => {
    const codes = all.map(({ exitCode }) => exitCode);
    expect(codes).toContain(2);
    expect(codes.filter((code) => code !== 2).length).toBeGreaterThan(0);
  });

  test('shows what it showed before', async () => {
    const masks = new Masks();
    const help = [...name.split(' '), '--help'];
    const parts = [
      transcriptOf(help, await type({ args: help, exitCode: 0, where: 'nothing' }), masks),
    ];
    for (const one of all) {
      const args = one.args.map(fill);
      const ran = await type({ ...one, args });
      remember(ran);
      parts.push(transcriptOf(args, ran, masks, one));
      expect.soft(ran.exitCode, parts.at(-1)).toBe(one.exitCode);
    }
    await expect(parts.join('\n')).toMatchFileSnapshot(
      join(golden, `${name.replace(' ', '-')}.txt`),
    );
  });
});

test('the program itself lists its commands, and suggests the nearest', async () => {
  const all = [['--help'], [], ['blance'], ['plans', 'chek'], ['--version']];
  const masks = new Masks();
  const parts: string[] = [];
  for (const args of all)
    parts.push(transcriptOf(args, await type({ args, exitCode: 0, where: 'nothing' }), masks));
  await expect(parts.join('\n')).toMatchFileSnapshot(join(golden, 'scrip.txt'));
});

async function type({ args, where, days }: Typed): Promise<Captured> {
  if (days) {
    scrip.advance(days * DAY);
    await scrip.service.sweep();
  }
  // Its library writes to the console, which the test run has replaced.
  if (args[0] === 'completion') return await inProcessOfItsOwn(args);
  if (where === 'nothing') return await capture(args, { DATA_DIRECTORY: dataDirectory });
  if (where === 'database') return await capture(args, { DATABASE_URL: databaseUrl });
  if (where === 'empty') return await capture(args, { DATABASE_URL: emptyUrl });
  if (where === 'sandbox')
    return await capture(args, { SCRIP_ADDRESS: `127.0.0.1:${sandbox.service.port}` });
  const own = args.includes('--caller') || !takesCaller(args) ? [] : ['--caller', 'test'];
  return await capture([...args, ...own], {
    SCRIP_ADDRESS: `127.0.0.1:${scrip.service.port}`,
    DATABASE_URL: scrip.databaseUrl,
  });
}

function takesCaller(args: readonly string[]): boolean {
  let found: Command | undefined = program;
  for (const arg of args) {
    const next: Command | undefined = found.commands.find((one) => one.name() === arg);
    if (!next) break;
    found = next;
  }
  return found.options.some(({ long }) => long === '--caller');
}

async function inProcessOfItsOwn(args: readonly string[]): Promise<Captured> {
  const { exitCode, stdout, stderr } = await runScrip(args, { NO_COLOR: '1' });
  const lines = (['stdout', 'stderr'] as const).flatMap((stream) =>
    ({ stdout, stderr })[stream]
      .split('\n')
      .slice(0, -1)
      .map((text) => ({ stream, text })),
  );
  return { exitCode, lines };
}

const fill = (arg: string): string =>
  arg
    .replace('{reservation}', made.reservation)
    .replace('{purchase}', made.purchase)
    .replace('{payment}', made.payment)
    .replace('{plans}', plans);

function remember({ lines }: Captured) {
  for (const { text } of lines) {
    const [, reservation] = /^reservation +(\S{36})$/.exec(text) ?? [];
    if (reservation) made.reservation = reservation;
  }
}
