/** Anchors: written from a ledger, compared with it, and with ledgers and files that were changed. */
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  type AnchoredAccount,
  readAnchorFile,
  writeAnchorFile,
} from '../../src/anchors/anchor-file.ts';
import { readPublicKey, readSigningKey } from '../../src/anchors/anchor-key.ts';
import { publishAt } from '../../src/plan-publication.ts';
import { verify } from '../../src/verify/verify.ts';
import { openWithCredits } from '../accounts.ts';
import { runScrip } from '../cli/run-scrip.ts';
import { execute } from '../postgres.ts';
import { SOON } from '../process/replica.ts';
import { plansOfDeploy, requestId, startTestService, type TestService } from '../service.ts';

let directory: string;
let keyFile: string;
let otherKeyFile: string;
let scrip: TestService;
let accountIds: readonly string[];
let anchorFile: string;

async function writeKey(name: string): Promise<string> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const file = join(directory, name);
  await writeFile(file, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return file;
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scrip-anchors-'));
  keyFile = await writeKey('key.pem');
  otherKeyFile = await writeKey('other.pem');
  scrip = await startTestService();
  accountIds = [await openWithCredits(scrip, 10n), await openWithCredits(scrip, 20n)];
  const ran = await runScrip(['anchor', 'write', '--directory', directory, '--key', keyFile], {
    DATABASE_URL: scrip.databaseUrl,
  });
  expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
  [anchorFile = ''] = ran.stdout.split('\n');
  // The ledger goes on.
  await scrip.billing.charge({
    accountId: accountIds[0] ?? '',
    requestId: requestId(),
    credits: 1n,
  });
});

afterAll(async () => {
  await scrip.stop();
  await rm(directory, { recursive: true });
});

const compare = async (file = anchorFile, ...keyFiles: readonly string[]) => {
  const keys = await Promise.all([keyFile, ...keyFiles].map(readPublicKey));
  return await verify(scrip.databaseUrl, { anchor: { file, keys } });
};

/** What verify finds while the change is in force. Only the owner of the tables can make it. */
async function whileChanged(change: string, undo: string) {
  await execute(scrip.databaseUrl, change);
  try {
    const result = await compare();
    return result.ok ? [] : result.discrepancies;
  } finally {
    await execute(scrip.databaseUrl, undo);
  }
}

describe('A ledger', () => {
  test('that goes on agrees with the anchor', async () => {
    expect(await compare()).toMatchObject({ ok: true, anchor: { accounts: 2 } });
  });

  test('agrees, as a command says with the root and the key', async () => {
    const main = new URL('../../src/verify/main.ts', import.meta.url).pathname;
    const options = { env: { PATH: process.env['PATH'], DATABASE_URL: scrip.databaseUrl } };
    const stdout = await new Promise<string>((resolve) => {
      const args = [main, '--anchor', anchorFile, '--anchor-key', keyFile];
      execFile(process.execPath, args, options, (_, text) => resolve(text));
    });
    const { keyId } = await readSigningKey(keyFile);
    expect(stdout).toMatch(
      new RegExp(
        `^verify: ok .*\nverify: as 2 accounts of .* were, root [0-9a-f]{64}, key ${keyId}\n$`,
      ),
    );
  });

  test('without an account that the anchor has is not it', async () => {
    const [accountId] = accountIds;
    const tables = ['accounts', 'entries', 'grants', 'events'];
    const copies = tables.map(
      (table) =>
        `create table copy_of_${table} as select * from ${table} where account_id = '${accountId}';
         delete from ${table} where account_id = '${accountId}';`,
    );
    const undo = tables.map(
      (table) =>
        `insert into ${table} select * from copy_of_${table}; drop table copy_of_${table};`,
    );
    const owner = `set session_replication_role = replica;`;
    expect(
      await whileChanged(`${owner}${copies.join('')}`, `${owner}${undo.join('')}`),
    ).toContainEqual({
      accountId,
      what: expect.stringMatching(
        /^the anchor has it with \d+ entries, and there is no such account$/,
      ),
    });
  });

  test('whose chain was computed anew is not it', async () => {
    const [, accountId] = accountIds;
    const of = `entries where account_id = '${accountId}' and seq = (select seq from accounts where account_id = '${accountId}')`;
    const [{ hash } = {}] = await execute(
      scrip.databaseUrl,
      `select encode(hash, 'hex') as hash from ${of}`,
    );
    const set = (hex: unknown) =>
      `set session_replication_role = replica;
       update ${of.replace('where', `set hash = decode('${hex}', 'hex') where`)};
       update accounts set last_hash = decode('${hex}', 'hex') where account_id = '${accountId}'`;
    const found = await whileChanged(set('00'.repeat(32)), set(hash));
    expect(found).toContainEqual({
      accountId,
      what: expect.stringContaining('its hash is not that of the anchor'),
    });
  });
});

describe('What was published', () => {
  const anchored = expect.stringContaining('its hash is not that of the anchor');
  const flip = 'set hash = set_byte(hash, 0, 255 - get_byte(hash, 0))';

  test.each([
    ['plans', ''],
    ['plan_versions', 'and version = 1'],
    ['rate_cards', 'and version = 1'],
  ])('is not it with another hash in %s', async (table, condition) => {
    const change = `update ${table} ${flip} where plan_id = 'verts' ${condition}`;
    const found = await whileChanged(change, change);
    expect(found).toContainEqual({ accountId: null, what: anchored });
  });

  test('is not it at an earlier revision, nor without the plan', async () => {
    const revision = (sign: string) =>
      `update plans set revision = revision ${sign} 1 where plan_id = 'verts'`;
    expect(await whileChanged(revision('-'), revision('+'))).toContainEqual({
      accountId: null,
      what: expect.stringMatching(/^plan verts: the anchor has revision \d+, it is \d+$/),
    });
  });

  test('goes on: a plan that was published since has other hashes', async () => {
    const plans = await plansOfDeploy();
    const changed = plans.map((file) => ({ ...file, title: 'Another' }));
    await publishAt(scrip.databaseUrl, changed, scrip.now());
    expect(await compare()).toMatchObject({ ok: true });
  });
});

describe('An anchor', () => {
  const changed = async (name: string, change: (text: string) => string): Promise<string> => {
    const file = join(directory, name);
    const text = gunzipSync(await readFile(anchorFile)).toString();
    await writeFile(file, gzipSync(change(text)));
    return file;
  };

  test.each<[string, (text: string) => string, string]>([
    ['without one of its accounts', (text) => text.replace(/\n\[.*\]/, ''), 'its content is not'],
    ['with another seq', (text) => text.replace(/","(\d)/, '","9$1'), 'its content is not'],
    ['without its end', (text) => text.slice(0, text.lastIndexOf('{')), 'it is cut off'],
    ['that goes on', (text) => `${text}[]\n`, 'it goes on after its end'],
    [
      'with another signature',
      (text) => text.replace(/"signature":"./, '"signature":"'),
      'its signature',
    ],
    ['with a line that is not JSON', (text) => text.replace('[', '('), 'a line that is not JSON'],
    ['of another format', (text) => text.replace('anchor 1', 'anchor 2'), 'it does not begin as'],
  ])('%s proves nothing', async (name, change, message) => {
    await expect(compare(await changed(name, change))).rejects.toThrow(message);
  });

  test('that is cut off within its compression proves nothing', async () => {
    const file = join(directory, 'cut-off');
    await writeFile(file, await readFile(anchorFile));
    await truncate(file, 60);
    await expect(compare(file)).rejects.toThrow('it cannot be read');
  });

  test('of another key is refused, unless that key is given as well', async () => {
    const file = join(directory, 'other');
    const none = (async function* (): AsyncGenerator<AnchoredAccount> {})();
    await writeAnchorFile(file, new Date(), [], none, await readSigningKey(otherKeyFile));
    await expect(compare(file)).rejects.toThrow('which was not given');
    expect(await compare(file, otherKeyFile)).toMatchObject({ ok: true, anchor: { accounts: 0 } });
  });

  test('is read as it was written', async () => {
    const key = await readSigningKey(keyFile);
    const accounts = fc.array(
      fc.record({
        accountId: fc.string({ unit: 'grapheme', minLength: 1 }),
        seq: fc.bigInt({ min: 1n, max: 10n ** 18n - 1n }),
        hash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      }),
    );
    await fc.assert(
      fc.asyncProperty(accounts, async (written) => {
        const file = join(directory, 'random');
        const source = (async function* () {
          yield* written;
        })();
        await writeAnchorFile(file, new Date(), [], source, key);
        const read: AnchoredAccount[] = [];
        for await (const one of readAnchorFile(file, [await readPublicKey(keyFile)]))
          read.push({ ...one, hash: new Uint8Array(one.hash) });
        expect(read).toEqual(written);
      }),
      { numRuns: 30 },
    );
  });

  test('that cannot be written leaves nothing behind', async () => {
    const file = join(directory, 'failed');
    const failing = (async function* (): AsyncGenerator<AnchoredAccount> {
      yield { accountId: 'a', seq: 1n, hash: new Uint8Array(32) };
      throw new Error('the database is gone');
    })();
    await expect(
      writeAnchorFile(file, new Date(), [], failing, await readSigningKey(keyFile)),
    ).rejects.toThrow('the database is gone');
    expect((await readdir(directory)).filter((name) => name.startsWith('failed'))).toEqual([]);
  });
});

test('A replica with a directory writes anchors on its interval', async () => {
  const own = await mkdtemp(join(directory, 'scheduled-'));
  const replica = await startTestService({
    databaseUrl: scrip.databaseUrl,
    env: { ANCHOR_DIRECTORY: own, ANCHOR_KEY_FILE: keyFile, ANCHOR_INTERVAL_MS: '1000' },
  });
  const whole = async () => (await readdir(own)).find((name) => name.endsWith('.gz'));
  const name = await vi.waitUntil(whole, SOON);
  await replica.stop();
  expect(await compare(join(own, name))).toMatchObject({ ok: true, anchor: { accounts: 2 } });
});

test('A ledger whose data were erased since agrees with the anchor', async () => {
  const accountId = accountIds[1] ?? '';
  const named = () => ({ accountId, requestId: requestId() });
  await scrip.accounts.closeAccount(named());
  await scrip.accounts.eraseAccountData({ ...named(), reason: 'ticket 17' });
  const [row] = await execute(
    scrip.databaseUrl,
    'select count(*)::int as erased from entries where account_id = $1 and erased_hash is not null',
    [accountId],
  );
  expect(row).toEqual({ erased: 3 });
  expect(await compare()).toMatchObject({ ok: true, anchor: { accounts: 2 } });
});
