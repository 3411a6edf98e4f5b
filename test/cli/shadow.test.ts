/** `scrip shadow`: from the command line to the ledger, and its report against a file that was computed by hand. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ListShadowDecisionsRequest } from '../../src/gen/billing/v1/account_service.ts';
import { verify } from '../../src/verify/verify.ts';
import { defined, grant, INSPECT, UPSCALE } from '../accounts.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { failAfter } from './failing-proxy.ts';
import { capture } from './in-process.ts';

let scrip: TestService;
let folder: string;
beforeAll(async () => {
  scrip = await startTestService({ frozenAt: Date.UTC(2026, 10, 20, 12) });
  folder = await mkdtemp(join(tmpdir(), 'scrip-shadow-'));
  await work();
});
afterAll(async () => {
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
  await scrip.stop();
  await rm(folder, { recursive: true });
});

const address = () => `127.0.0.1:${scrip.service.port}`;
const run = (...args: readonly string[]) => runAt(address(), ...args);

async function runAt(addresses: string, ...args: readonly string[]) {
  const { exitCode, lines } = await capture(['shadow', ...args], { SCRIP_ADDRESS: addresses });
  return { exitCode, lines: lines.map(({ text }) => text) };
}

/** The service of the product, on two accounts: acme has 100 credits, beta 15. */
async function work() {
  for (const [accountId, credits] of [
    ['acme', 100n],
    ['beta', 15n],
  ] as const) {
    await scrip.accounts.openAccount({ accountId, requestId: requestId(), planId: 'verts' });
    await grant(scrip, accountId, credits);
  }
  expect(await run('on', '--plan', 'verts', '--reason', 'ticket 17')).toEqual({
    exitCode: 0,
    lines: ['shadow mode on: 2 accounts; 0 were so before'],
  });
  const charge = (accountId: string, id: string, usage: typeof UPSCALE, reference = '') =>
    scrip.billing.charge({ accountId, requestId: id, usages: { items: [usage] }, reference });
  await charge('acme', 'r1', UPSCALE, 'job-1');
  await charge('acme', 'r2', INSPECT);
  const { reservation } = await scrip.billing.reserve({
    ...{ accountId: 'acme', requestId: 'rr3' },
    usages: { items: [UPSCALE] },
  });
  const { reservationId } = defined(reservation);
  await scrip.billing.commit({ accountId: 'acme', requestId: 'r3', reservationId, all: true });
  await charge('acme', 'r4', INSPECT);
  const { entrySeq: seq } = await charge('beta', 'b1', UPSCALE);
  await charge('beta', 'b2', UPSCALE); // 5 are left
  const refund = { seq, credits: 4n, reason: 'a complaint' };
  await scrip.billing.refund({ accountId: 'beta', requestId: 'b3', ...refund });
}

const at = '2026-11-20T12:00:00Z';
/** What the other system charged for the same work, and once more. */
const OLD = [
  { account_id: 'acme', id: 'job-1', operation: 'image.upscale', credits: 10, at },
  { account_id: 'acme', id: 'r2', operation: 'file.inspect', credits: 2, at },
  { account_id: 'acme', id: 'rr3', operation: 'image.upscale', credits: 10, at },
  { account_id: 'acme', id: 'gone', operation: 'file.inspect', credits: 7, at },
  { account_id: 'beta', id: 'b1', operation: 'image.upscale', credits: 10, at },
  { account_id: 'beta', id: 'b2', operation: 'image.upscale', credits: 10, at },
  { account_id: 'beta', id: 'b3', operation: 'image.upscale', credits: -4, at },
];

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}
const jsonLines = (rows: readonly object[]) => rows.map((row) => JSON.stringify(row)).join('\n');
const csv = (rows: readonly (typeof OLD)[number][]) =>
  ['account_id,id,operation,credits,at']
    .concat(rows.map((row) => Object.values(row).join(',')))
    .join('\n');

const COMPARED = [
  'operation      old charges  old credits  charges  credits  difference  refused',
  'file.inspect             2            9        2        2          -7',
  'image.upscale            5           36        5       36                   10',
  'all                      7           45        7       38          -7       10',
  '',
  'account  old charges  old credits  charges  credits  difference  refused',
  'acme               4           29        4       22          -7',
  'beta               3           16        3       16                   10',
  '',
  'account  charge  operation      old  here  what',
  'acme     gone    file.inspect     7     -  only in the old system',
  'acme     r2      file.inspect     2     1  other credits',
  'acme     r4      file.inspect     -     1  only here',
  'beta     b2      image.upscale   10    10  would have been refused: INSUFFICIENT_CREDITS',
  '',
  'would have been refused: 1 INSUFFICIENT_CREDITS',
  'compared: 4 the same, 4 different',
];

describe('shadow report', () => {
  test.each([
    ['JSON lines', 'charges.jsonl', jsonLines(OLD)],
    ['CSV', 'charges.csv', csv(OLD)],
  ])('compares %s with what would have been charged, to the credit', async (_, name, text) => {
    expect(await run('report', await file(name, text))).toEqual({ exitCode: 1, lines: COMPARED });
  });

  test('without a file says what would have been charged and refused', async () => {
    expect(await run('report')).toEqual({
      exitCode: 0,
      lines: [
        'operation      charges  credits  refused',
        'file.inspect         2        2',
        'image.upscale        5       36       10',
        'all                  7       38       10',
        '',
        'account  charges  credits  refused',
        'beta           3       16       10',
        '',
        'would have been refused: 1 INSUFFICIENT_CREDITS',
      ],
    });
  });

  test('finds nothing where both are the same', async () => {
    const path = await file(
      'same.jsonl',
      jsonLines([
        ...OLD.slice(0, 1),
        { ...OLD[1], credits: '1' },
        ...OLD.slice(2, 3),
        { account_id: 'acme', id: 'r4', credits: 1, at: '2026-11-20' },
      ]),
    );
    const { exitCode, lines } = await run('report', path, '--account', 'acme');
    expect({ exitCode, last: lines.at(-1) }).toEqual({
      exitCode: 0,
      last: 'compared: 4 the same, 0 different',
    });
  });

  test('compares the days of accounts, where the other system knows no ids', async () => {
    const path = await file(
      'days.csv',
      'account_id,credits,at\nacme,22,2026-11-20\nbeta,16,2026-11-20\nbeta,3,2026-11-21\n',
    );
    const { exitCode, lines } = await run('report', path, '--by-day', '--json');
    expect(exitCode).toBe(1);
    expect(JSON.parse(lines.join('\n'))).toMatchObject({
      same: 1,
      differences: [
        { accountId: 'beta', key: '2026-11-20', what: expect.stringMatching('refused') },
        { accountId: 'beta', key: '2026-11-21', what: 'only in the old system' },
      ],
    });
    expect((await run('report', path)).lines[0]).toContain('has no id: compare --by-day');
  });

  test('counts nothing twice where an address stops to answer between two pages', async () => {
    const path = '/billing.v1.AccountService/ListShadowDecisions';
    const inPages = (request: Buffer) => {
      const read = ListShadowDecisionsRequest.decode(request);
      return Buffer.from(ListShadowDecisionsRequest.encode({ ...read, pageSize: 3 }).finish());
    };
    const first = await failAfter(1, path, address(), inPages);
    const compared = await runAt(
      `${first.address},${address()}`,
      ...['report', await file('charges.jsonl', jsonLines(OLD))],
    );
    first.stop();
    expect(compared).toEqual({ exitCode: 1, lines: COMPARED });
  });

  test('leaves out what was before and after', async () => {
    const { lines } = await run('report', '--from', '2026-11-21');
    expect(lines).toContain('would have been refused: nothing');
  });

  test.each([
    ['no JSON', 'a.jsonl', 'nothing', 'line 1: is not one JSON object'],
    ['a field too many', 'b.jsonl', jsonLines([{ ...OLD[0], price: 1 }]), 'line 1: '],
    [
      'half a credit',
      'c.jsonl',
      jsonLines([OLD[0]!, { ...OLD[0], credits: 0.5 }]),
      'line 2: credits',
    ],
    ['no time', 'd.csv', 'account_id,id,credits\nacme,a,1\n', 'line 2: at'],
  ])('refuses a file with %s', async (_, name, text, message) => {
    const { exitCode, lines } = await run('report', await file(name, text));
    expect(exitCode).toBe(2);
    expect(lines.join('\n')).toContain(message);
  });
});

describe('shadow on and off', () => {
  test('are run again without an effect, and need accounts or a plan', async () => {
    expect((await run('on', 'acme', '--reason', 'again')).lines).toEqual([
      'shadow mode on: 0 accounts; 1 were so before',
    ]);
    expect((await run('on', '--reason', 'which?')).exitCode).toBe(2);
    expect((await run('on', 'nobody', '--reason', 'a typo')).exitCode).toBe(1);
  });

  test('after off the account is charged', async () => {
    const { lines } = await run('off', 'beta', '--reason', 'cut-over');
    expect(lines).toEqual(['shadow mode off: 1 accounts; 0 were so before']);
    await scrip.billing.charge({ accountId: 'beta', requestId: requestId(), credits: 5n });
    const { balance } = await scrip.billing.getBalance({ accountId: 'beta' });
    expect(balance?.available).toBe(10n);
  });
});
