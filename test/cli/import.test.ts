/** `scrip import`: files of other systems, from the command line to the ledger. */
import { type ChildProcess, execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verify } from '../../src/verify/verify.ts';

import { execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { startTestService, type TestService } from '../service.ts';
import { capture } from './in-process.ts';
import { MAIN } from './run-scrip.ts';

let scrip: TestService;
let folder: string;
beforeAll(async () => {
  scrip = await startTestService({ frozenAt: Date.UTC(2026, 10, 20, 12) });
  folder = await mkdtemp(join(tmpdir(), 'scrip-import-'));
});
afterAll(async () => {
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
  await scrip.stop();
  await rm(folder, { recursive: true });
});

const environment = () => ({ SCRIP_ADDRESS: `127.0.0.1:${scrip.service.port}` });

async function fileOf(name: string, lines: readonly unknown[]): Promise<string> {
  const path = join(folder, name);
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line)));
  await writeFile(path, `${text.join('\n')}\n`);
  return path;
}

async function run(...args: readonly string[]) {
  const { exitCode, lines } = await capture(
    ['import', ...args, '--system', 'billing-v1'],
    environment(),
  );
  return { exitCode, lines: lines.map(({ text }) => text) };
}

const ACME = {
  account_id: 'acme',
  plan_id: 'aspose-cloud',
  opened_at: '2025-03-05T10:00:00Z',
  display_name: 'Acme',
  labels: { team: 'media' },
  reference: 'customer 17',
  grants: [
    {
      source: 'allowance',
      credits: 50,
      spent: 50,
      spent_this_month: 50,
      effective_at: '2026-11-01',
    },
    {
      source: 'operator',
      category: 'promotional',
      credits: 100,
      spent: 90,
      effective_at: '2025-06-01',
      expires_at: '2026-01-01',
    },
  ],
  purchases: [
    {
      pack_id: 'prepaid-1000',
      credits: 1_000,
      price: '20.00 USD',
      paid_at: '2026-02-01',
      payment_reference: 'order-1',
      spent: 400,
      spent_this_month: 30,
    },
  ],
  month: {
    month: '2026-11',
    overage: 120,
    usage: [{ operation: 'document.convert', count: 200, credits: 200 }],
  },
};
const paul = (accountId: string) => ({
  account_id: accountId,
  plan_id: 'perfectparser',
  opened_at: '2026-01-05',
  grants: [{ source: 'welcome', credits: 20, spent: 20, effective_at: '2026-01-05' }],
  purchases: [
    {
      pack_id: 'small',
      credits: 250,
      price: '39.00 USD',
      paid_at: '2026-05-24',
      payment_reference: 'invoice-7',
      spent: 100,
    },
  ],
});

const balanceOf = async (accountId: string) =>
  (await scrip.billing.getBalance({ accountId })).balance;

describe('a file of JSON lines', () => {
  test('is checked without effect, imported, and left as it is when it is imported again', async () => {
    const path = await fileOf('accounts.jsonl', [ACME, '', paul('paul')]);
    const sums = [
      'plan           accounts  grants  purchases  granted  spent  this month  overage  paid',
      'aspose-cloud          1       2          1     1150    540          80      120  20.00 USD',
      'perfectparser         1       1          1      270    120                       39.00 USD',
    ];
    const checked = [
      ...sums,
      '2 to import, 0 were there, 0 with mistakes; dry run: nothing was written',
    ];
    expect(await run(path, '--dry-run')).toEqual({ exitCode: 0, lines: checked });
    expect(await execute(scrip.databaseUrl, 'select from accounts')).toEqual([]);

    const equal = 'the sums of the file are those of the ledger';
    expect(await run(path)).toEqual({
      exitCode: 0,
      lines: [...sums, '2 imported, 0 were there, 0 with mistakes', equal],
    });
    expect(await balanceOf('acme')).toMatchObject({ remaining: 600n, overage: 120n });
    expect(await balanceOf('paul')).toMatchObject({ remaining: 150n, overage: 0n });

    const entries = 'select count(*)::int as entries from entries';
    const before = await execute(scrip.databaseUrl, entries);
    expect(await run(path)).toEqual({
      exitCode: 0,
      lines: [...sums, '0 imported, 2 were there, 0 with mistakes', equal],
    });
    expect(await execute(scrip.databaseUrl, entries)).toEqual(before);
    // Under another name it is the same file.
    const renamed = await fileOf('renamed.jsonl', [ACME, paul('paul')]);
    expect(await run(renamed)).toMatchObject({ exitCode: 0 });
    const [origin] = await execute(
      scrip.databaseUrl,
      `select details, reference from history where account_id = 'acme' and kind = 'IMPORT'`,
    );
    expect(origin).toEqual({
      details: {
        system: 'billing-v1',
        file: 'accounts.jsonl',
        period_end: '2026-12-01T00:00:00.000Z',
      },
      reference: 'customer 17',
    });
  });

  test('has all its mistakes named, each with its line, and the others are imported', async () => {
    const changed = { ...ACME, display_name: 'Other' };
    const path = await fileOf('mistakes.jsonl', [
      changed,
      paul('good'),
      'nonsense',
      { ...paul('bad'), plan_id: 'perfectparsr' },
      {
        ...paul('worse'),
        purchases: [
          { ...paul('')['purchases'][0], pack_id: 'smal', spent: 251 },
          { ...paul('')['purchases'][0], paid_at: '2026-12-01' },
        ],
      },
      { account_id: 'zed', plan_id: 'verts', opened_at: '2026-13-01', grants: [{ credits: 1.5 }] },
      { ...ACME, account_id: 'late', month: { month: '2026-10', overage: 5 } },
    ]);
    const mistakes = [
      'line 1: acme: account acme exists already: it was opened in another way, or imported with other content (ACCOUNT_EXISTS)',
      'line 3: is not one JSON object (INVALID_FIELD)',
      'line 4: bad: there is no plan perfectparsr; did you mean perfectparser? (PLAN_NOT_FOUND)',
      'line 5: worse purchases[0].pack_id: plan perfectparser has no pack smal; did you mean small? (PACK_NOT_FOUND)',
      'line 5: worse purchases[0].spent: is 251, more than the 250 credits granted (INVALID_FIELD)',
      'line 5: worse purchases[1].paid_at: is in the future: it is 2026-11-20T12:00:00.000Z (INVALID_FIELD)',
      'line 5: worse purchases[1].payment_reference: payment reference invoice-7 has already bought a pack for this account (PAYMENT_REFERENCE_USED)',
      'line 6: zed opened_at: must be a date such as 2027-01-01 or an instant such as 2027-01-01T12:00:00Z, in UTC (INVALID_FIELD)',
      'line 6: zed grants[0].source: missing key (INVALID_FIELD)',
      'line 6: zed grants[0].credits: must be a whole number (INVALID_FIELD)',
      'line 6: zed grants[0].effective_at: missing key (INVALID_FIELD)',
    ];
    const dry = await run(path, '--dry-run');
    expect(dry.exitCode).toBe(1);
    expect(dry.lines.slice(0, mistakes.length)).toEqual(mistakes);
    expect(dry.lines.find((line) => line.startsWith('line 7: late month.month'))).toContain(
      '2026-10 is not the running month, which is 2026-11',
    );
    expect(dry.lines.at(-1)).toBe(
      '1 to import, 0 were there, 6 with mistakes; dry run: nothing was written',
    );

    const imported = await run(path);
    expect(imported.exitCode).toBe(1);
    expect(imported.lines.slice(-3)).toEqual([
      '1 imported, 0 were there, 6 with mistakes',
      'the sums of the file are those of the ledger',
      'not complete: correct the lines, and run it again',
    ]);
    expect(await balanceOf('good')).toMatchObject({ remaining: 150n });
  });

  test('is answered as JSON', async () => {
    const path = await fileOf('json.jsonl', [paul('json'), { ...paul('wrong'), plan_id: 7 }]);
    const { exitCode, lines } = await run(path, '--json');
    expect(exitCode).toBe(1);
    expect(JSON.parse(lines.join('\n'))).toMatchObject({
      complete: false,
      accounts: 2,
      imported: 1,
      there: 0,
      refused: 1,
      file: [{ planId: 'perfectparser', granted: '270', spent: '120' }],
      ledger: [{ planId: 'perfectparser', granted: '270', spent: '120' }],
      mistakes: [{ line: 2, account: 'wrong', field: 'plan_id', reason: 'INVALID_FIELD' }],
    });
  });

  test('differs from a ledger that somebody has changed', async () => {
    const path = await fileOf('changed.jsonl', [paul('changed')]);
    await run(path);
    const { databaseUrl } = scrip;
    const change = (from: number, to: number) =>
      execute(
        databaseUrl,
        `update entries set credits = ${to} where account_id = 'changed' and credits = ${from}`,
      );
    await change(250, 251);
    const { exitCode, lines } = await run(path);
    await change(251, 250);
    expect(exitCode).toBe(1);
    expect(lines).toEqual([
      'plan           of      accounts  grants  purchases  granted  spent  paid',
      'perfectparser  file           1       1          1      270    120  39.00 USD',
      'perfectparser  ledger         1       1          1      271    120  39.00 USD',
      '0 imported, 1 were there, 0 with mistakes',
      'the sums of the file are not those of the ledger',
    ]);
  });
});

const COLUMNS =
  'account_id,row,plan_id,opened_at,display_name,labels,source,category,credits,spent,spent_this_month,effective_at,expires_at,pack_id,price,paid_at,payment_reference,month,overage,operation,count';
/** Cells by their column. */
const row = (cells: Readonly<Record<string, string>>) =>
  COLUMNS.split(',')
    .map((name) => cells[name] ?? '')
    .join(',');

describe('a file of CSV', () => {
  test('is the same as JSON lines', async () => {
    const named = { account_id: 'csv' };
    const path = await fileOf('accounts.csv', [
      COLUMNS,
      row({
        ...named,
        ...{ row: 'account', plan_id: 'aspose-cloud', opened_at: '2025-03-05' },
        ...{ display_name: '"Acme, ""Inc."""', labels: 'team=media;site=oslo' },
      }),
      row({
        ...{ ...named, row: 'grant', source: 'allowance', credits: '50', spent: '50' },
        ...{ spent_this_month: '50', effective_at: '2026-11-01' },
      }),
      row({
        ...{ ...named, row: 'purchase', pack_id: 'prepaid-1000', credits: '1000', spent: '400' },
        ...{ price: '20.00 USD', paid_at: '2026-02-01', payment_reference: 'order-1' },
      }),
      row({ ...named, row: 'month', month: '2026-11', overage: '20' }),
      row({ ...named, row: 'usage', operation: 'document.convert', count: '70', credits: '70' }),
      row({ account_id: 'csv-2', row: 'account', plan_id: 'verts', opened_at: '2026-01-01' }),
    ]);
    const { exitCode, lines } = await run(path);
    expect({ exitCode, last: lines.slice(-2) }).toEqual({
      exitCode: 0,
      last: [
        '2 imported, 0 were there, 0 with mistakes',
        'the sums of the file are those of the ledger',
      ],
    });
    const { account } = await scrip.accounts.getAccount({ accountId: 'csv' });
    expect(account).toMatchObject({ displayName: 'Acme, "Inc."' });
    expect(Object.fromEntries(account?.labels ?? [])).toEqual({ team: 'media', site: 'oslo' });
    expect(await balanceOf('csv')).toMatchObject({ remaining: 600n, overage: 20n });
    const { statement } = await scrip.statements.getStatement({
      accountId: 'csv',
      month: '2026-11',
    });
    expect(statement?.usage).toMatchObject([{ operation: 'document.convert', count: 70n }]);
  });

  test.each([
    [
      COLUMNS.replace('expires_at', 'expire_at'),
      'expire_at: is no column; did you mean expires_at?',
    ],
    [COLUMNS.replace('expires_at', 'paid_at'), 'paid_at: is a column already'],
  ])('with a heading that is wrong imports nothing', async (heading, mistake) => {
    const named = { account_id: `csv-${heading.length}` };
    const path = await fileOf(`heading-${heading.length}.csv`, [
      heading,
      row({ ...named, row: 'account', plan_id: 'verts', opened_at: '2026-01-01' }),
    ]);
    const { exitCode, lines } = await run(path);
    expect(exitCode).toBe(1);
    expect(lines).toContain(`line 1: ${mistake} (INVALID_FIELD)`);
    expect(lines.at(-1)).toBe('not complete: correct the lines, and run it again');
    expect((await errorOf(scrip.accounts.getAccount({ accountId: named.account_id }))).reason).toBe(
      'ACCOUNT_NOT_FOUND',
    );
  });

  test('has its mistakes named by the line of the row', async () => {
    const named = { account_id: 'csv-bad' };
    const path = await fileOf('mistakes.csv', [
      `${COLUMNS},packid`,
      `${row({ account_id: 'other', row: 'grant' })},`,
      `${row({ ...named, row: 'account', plan_id: 'verts', opened_at: '2026-01-01' })},`,
      `${row({
        ...{ ...named, row: 'purchase', pack_id: 'starter', credits: '10', spent: '11' },
        ...{ price: '5.00 USD', paid_at: '2026-02-01', payment_reference: 'order-1' },
      })},`,
      `${row({
        ...{ ...named, row: 'purchase', pack_id: 'startr', credits: '10' },
        ...{ price: '5.00 USD', paid_at: '2026-02-01', payment_reference: 'order-2' },
      })},`,
      `${row({ account_id: 'csv-3', row: 'account', plan_id: 'verts', opened_at: '2026-01-01' })},`,
      `${row({ account_id: 'csv-3', row: 'grant', pack_id: 'starter' })},`,
      `${row({ account_id: 'csv-3', row: 'month', month: '2026-11' })},`,
      `${row({ account_id: 'csv-4', row: 'acount' })},`,
    ]);
    const { exitCode, lines } = await run(path, '--dry-run');
    expect(exitCode).toBe(1);
    expect(lines.filter((line) => line.startsWith('line '))).toEqual([
      'line 1: packid: is no column; did you mean pack_id? (INVALID_FIELD)',
      'line 2: other account_id: must be that of the account row above it (INVALID_FIELD)',
      'line 4: csv-bad purchases[0].spent: is 11, more than the 10 credits granted (INVALID_FIELD)',
      expect.stringMatching(
        /^line 5: csv-bad purchases\[1\]\.pack_id: plan verts has no pack startr/,
      ),
      'line 7: csv-3 pack_id: must be empty in a row of grant (INVALID_FIELD)',
      'line 9: csv-4 row: must be account, grant, purchase, month, usage, and is "acount" (INVALID_FIELD)',
    ]);
  });
});

describe('a row of CSV that is not below its account row', () => {
  const account = (id: string) =>
    row({ account_id: id, row: 'account', plan_id: 'verts', opened_at: '2026-01-01' });
  const grant = (id: string) =>
    row({
      ...{
        account_id: id,
        row: 'grant',
        source: 'OPERATOR',
        category: 'PROMOTIONAL',
        credits: '5',
      },
      effective_at: '2026-02-01',
    });

  const importedOf = async (ids: readonly string[]) => {
    const found = await Promise.all(
      ids.map((accountId) => scrip.accounts.getAccount({ accountId }).catch(() => null)),
    );
    return ids.filter((_, index) => found[index] !== null);
  };

  test.each([
    ['far', 'of an account above', ['a', 'A', 'b', 'A', 'c'], ['c'], 2],
    ['late', 'of an account further down', ['a', 'B', 'b', 'B', 'c'], ['c'], 2],
    ['none', 'of an account that the file has not', ['a', 'A', 'X', 'X', 'b', 'B'], ['b'], 1],
    ['first', 'of the file', ['A', 'b', 'B', 'a', 'A'], ['b'], 2],
    ['each', 'is named once an account', ['a', 'X', 'Y', 'A', 'X', 'b'], ['b'], 2],
  ])('%s: %s', async (name, _, letters, imported, mistakes) => {
    const idOf = (letter: string) => `misplaced-${name}-${letter.toLowerCase()}`;
    const path = await fileOf(`misplaced-${name}.csv`, [
      COLUMNS,
      ...letters.map((one) => (one === one.toLowerCase() ? account(idOf(one)) : grant(idOf(one)))),
    ]);
    const [dry, done] = [await run(path, '--dry-run'), await run(path)];
    expect([dry.exitCode, done.exitCode]).toEqual([1, 1]);
    const told = done.lines.filter((line) => line.startsWith('line '));
    expect(told).toHaveLength(mistakes);
    expect(dry.lines.filter((line) => line.startsWith('line '))).toEqual(told);
    expect(await importedOf(['a', 'b', 'c', 'x', 'y'].map(idOf))).toEqual(imported.map(idOf));
    const totals = new RegExp(`^${imported.length} .*, ${mistakes} with mistakes`);
    expect(dry.lines.find((line) => totals.test(line))).toBeDefined();
    expect(done.lines.find((line) => totals.test(line))).toBeDefined();
  });

  test('names both accounts', async () => {
    const path = await fileOf('misplaced-named.csv', [
      COLUMNS,
      ...[account('named-a'), account('named-b'), grant('named-a')],
      ...[account('named-c'), row({ account_id: 'named-d', row: 'acount' })],
    ]);
    const { lines } = await run(path, '--dry-run');
    expect(lines.filter((line) => line.startsWith('line '))).toEqual([
      'line 2: named-a account_id: has a row in line 4, not below it (INVALID_FIELD)',
      'line 4: named-a account_id: must be that of the account row above it; named-b is not imported either (INVALID_FIELD)',
      'line 6: named-d row: must be account, grant, purchase, month, usage, and is "acount"; named-c is not imported either (INVALID_FIELD)',
    ]);
  });
});

describe('an account that is in a file twice', () => {
  const existing = async (ids: readonly string[]) => {
    const found = await Promise.all(
      ids.map((accountId) => scrip.accounts.getAccount({ accountId }).catch(() => null)),
    );
    return ids.filter((_, index) => found[index] !== null);
  };
  const bothRuns = async (path: string) => {
    const [dry, done] = [await run(path, '--dry-run'), await run(path)];
    expect([dry.exitCode, done.exitCode]).toEqual([1, 1]);
    const mistakes = done.lines.filter((line) => line.startsWith('line '));
    expect(dry.lines.filter((line) => line.startsWith('line '))).toEqual(mistakes);
    return { mistakes, counts: done.lines.find((line) => line.includes('were there')) };
  };

  test('is not imported, and each of its lines of JSON is named', async () => {
    // Another batch has the second.
    const others = Array.from({ length: 250 }, (_, index) => paul(`beside-${index}`));
    const path = await fileOf('twice.jsonl', [
      ...[paul('twice'), paul('thrice'), ...others, { ...paul('twice'), plan_id: 'verts' }],
      ...[{ ...paul('thrice'), opened_at: 'a mistake' }, paul('thrice'), paul('once')],
    ]);
    const { mistakes, counts } = await bothRuns(path);
    expect(mistakes).toEqual([
      'line 1: twice account_id: is in line 253 as well (INVALID_FIELD)',
      'line 2: thrice account_id: is in line 254 as well (INVALID_FIELD)',
      'line 253: twice account_id: is in line 1 already (INVALID_FIELD)',
      'line 254: thrice account_id: is in line 2 already (INVALID_FIELD)',
      'line 255: thrice account_id: is in line 2 already (INVALID_FIELD)',
    ]);
    expect(counts).toBe('251 imported, 0 were there, 5 with mistakes');
    expect(await existing(['twice', 'thrice', 'once', 'beside-0', 'beside-249'])).toEqual([
      'once',
      'beside-0',
      'beside-249',
    ]);
  });

  test.each([
    ['apart', ['a', 'A', 'b', 'B', 'a', 'A', 'c'], [2, 6]],
    ['adjacent', ['b', 'a', 'A', 'a', 'A', 'c', 'C'], [3, 5]],
    ['without rows', ['a', 'b', 'a', 'c'], [2, 4]],
  ])('is not imported from rows of CSV, %s', async (name, letters, [first, second]) => {
    const idOf = (letter: string) => `twice-${name.replace(' ', '-')}-${letter.toLowerCase()}`;
    const account = { row: 'account', plan_id: 'verts', opened_at: '2026-01-01' };
    const grant = {
      ...{ row: 'grant', source: 'OPERATOR', category: 'PROMOTIONAL', credits: '5' },
      effective_at: '2026-02-01',
    };
    const path = await fileOf(`twice-${name}.csv`, [
      COLUMNS,
      ...letters.map((one) =>
        row({ account_id: idOf(one), ...(one === one.toLowerCase() ? account : grant) }),
      ),
    ]);
    const { mistakes, counts } = await bothRuns(path);
    expect(mistakes).toEqual([
      `line ${first}: ${idOf('a')} account_id: is in line ${second} as well (INVALID_FIELD)`,
      `line ${second}: ${idOf('a')} account_id: is in line ${first} already (INVALID_FIELD)`,
    ]);
    expect(counts).toBe('2 imported, 0 were there, 2 with mistakes');
    expect(await existing(['a', 'b', 'c'].map(idOf))).toEqual(['b', 'c'].map(idOf));
  });
});

test('sums of more than 2^63 − 1 are compared exactly', async () => {
  const credits = '999999999999999999';
  const grant = {
    ...{ source: 'operator', category: 'promotional', credits, spent: credits },
    effective_at: '2026-02-01',
  };
  const grants = Array.from({ length: 9 }, () => grant);
  const path = await fileOf(
    'large.jsonl',
    ['large-1', 'large-2', 'large-3'].map((id) => ({ ...paul(id), grants, purchases: [] })),
  );
  const { exitCode, lines } = await run(path);
  expect({ exitCode, last: lines.at(-1) }).toEqual({
    exitCode: 0,
    last: 'the sums of the file are those of the ledger',
  });
  // 27 × 999999999999999999
  expect(lines.find((line) => line.startsWith('perfectparser'))).toContain(
    ' 26999999999999999973 ',
  );
});

test('an import that was killed is completed by the next', async () => {
  const count = 2_000;
  const path = await fileOf(
    'many.jsonl',
    Array.from({ length: count }, (_, index) => paul(`many-${index}`)),
  );
  const child = start(path);
  const importedNow = async () => {
    const [row] = await execute(
      scrip.databaseUrl,
      `select count(*)::int as found from accounts where account_id like 'many-%'`,
    );
    return Number(row?.['found']);
  };
  await expect.poll(importedNow, { timeout: 60_000, interval: 20 }).toBeGreaterThan(0);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const { exitCode, lines } = await run(path);
  expect(exitCode).toBe(0);
  const [, imported, there] =
    /^(\d+) imported, (\d+) were there, 0 with/.exec(lines.at(-2) ?? '') ?? [];
  expect(Number(imported) + Number(there)).toBe(count);
  expect(Number(there)).toBeGreaterThan(0);
  expect(lines.at(-1)).toBe('the sums of the file are those of the ledger');
  expect(await importedNow()).toBe(count);
});

const start = (path: string): ChildProcess =>
  execFile(process.execPath, [MAIN, 'import', path, '--system', 'billing-v1'], {
    env: { PATH: process.env['PATH'], ...environment() },
  });

test('of CSV with a row that cannot be read nothing is imported: more of any account may follow', async () => {
  const accounts = Array.from(
    { length: 4_000 },
    (_, index) => `broken-${index},account,verts,2026-01-01`,
  );
  const path = await fileOf('broken.csv', [
    'account_id,row,plan_id,opened_at',
    ...[...accounts, 'broken,account,verts,2026-01-01,too many', accounts[0]],
  ]);
  const unreadable = expect.stringMatching(
    /^line 4002: cannot be read: .*columns length is 4, got 5/,
  ) as string;
  const dry = await run(path, '--dry-run');
  expect({ exitCode: dry.exitCode, mistake: dry.lines[0] }).toEqual({
    exitCode: 1,
    mistake: unreadable,
  });
  expect(dry.lines.at(-1)).toContain(', 1 with mistakes');
  expect(await run(path)).toEqual({
    exitCode: 1,
    lines: [
      unreadable,
      '0 imported, 0 were there, 1 with mistakes',
      'the sums of the file are those of the ledger',
      'not complete: correct the lines, and run it again',
    ],
  });
});

test('files that cannot be imported end with 2', async () => {
  expect(await run(join(folder, 'missing.csv'))).toMatchObject({
    exitCode: 2,
    lines: [expect.stringContaining('there is no file')],
  });
  expect(await run(join(folder, 'missing.jsonl'))).toMatchObject({
    exitCode: 2,
    lines: [expect.stringContaining('there is no file')],
  });
  expect(await run('/dev/null')).toEqual({
    exitCode: 2,
    lines: [expect.stringContaining('/dev/null must be a file: it is read twice')],
  });
  expect(await readFile(await fileOf('empty.jsonl', []), 'utf8')).toBe('\n');
  expect(await run(join(folder, 'empty.jsonl'))).toEqual({
    exitCode: 0,
    lines: [
      '0 imported, 0 were there, 0 with mistakes',
      'the sums of the file are those of the ledger',
    ],
  });
});
