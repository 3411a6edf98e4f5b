/** `scrip plans publish` and `plans status`: the only way to change prices, and whether files are published. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { DAY, grant } from '../accounts.ts';
import { createDatabase, createEmptyDatabase, execute } from '../postgres.ts';
import { requestId, startTestService } from '../service.ts';
import { runScrip } from './run-scrip.ts';

let directory: string;
let databaseUrl: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scrip-publish-'));
});
beforeEach(async () => {
  databaseUrl = await createDatabase(inject('postgresUrl'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const operation = (name: string, credits: number) =>
  `  ${name}: { title: ${name}, billable: true, components: [{ kind: flat, label: Job, credits: ${credits} }] }`;

const plan = (operations: readonly string[], more: { price?: string; changes?: string } = {}) => `
plan_id: metered
title: Metered
terms: {}
packs:
  - { pack_id: small, title: Small, credits: 10, price: ${more.price ?? '5.00 USD'}, validity: never }
operations:
${operations.join('\n')}
${more.changes ?? ''}
`;

const run = (...args: string[]) =>
  runScrip(['plans', ...args], { DATABASE_URL: databaseUrl, PLANS_DIRECTORY: directory });

const write = (text: string) => writeFile(join(directory, 'metered.yaml'), text);

/** Everything that is published. */
const published = () =>
  execute(
    databaseUrl,
    `select to_jsonb(p)::text as content from plans p
     union all select to_jsonb(v)::text from plan_versions v
     union all select to_jsonb(r)::text from rate_cards r order by 1`,
  );

describe('plans publish', () => {
  test('publishes new plans, and nothing when it is repeated', async () => {
    await write(plan([operation('job', 1)]));
    expect(await run('publish')).toEqual({
      exitCode: 0,
      stderr: '',
      stdout: 'metered: new plan (operations 1, packs 1)\npublished: 1\n',
    });
    const rows = await published();
    expect(rows).toHaveLength(3);
    expect(await run('publish')).toEqual({
      exitCode: 0,
      stderr: '',
      stdout: 'metered: no change\nnothing to publish\n',
    });
    expect(await published()).toEqual(rows);
  });

  test('lists every change; with --dry-run it changes nothing', async () => {
    await write(plan([operation('job', 1), operation('job.old', 2)]));
    await run('publish');
    const before = await published();
    const from = new Date(Date.now() + 30 * DAY).toISOString();
    const changes = `changes: [{ from: ${from}, ends: [job.new] }]`;
    const operations = [operation('job', 3), operation('job.new', 4)];
    await write(plan(operations, { price: '6.00 USD', changes }));
    const dry = await run('publish', '--dry-run');
    expect(dry).toMatchObject({ exitCode: 0, stderr: '' });
    const job = (credits: number, name: string) =>
      `{"title":"${name}","billable":true,"quantities":{},"attributes":{},"components":[{"kind":"flat","label":"Job","credits":"${credits}"}]}`;
    const lines = [
      'metered:',
      '  rate card 2, at once',
      '    ~ operations.job.components[0].credits: 1 -> 3',
      `    + operations["job.new"]: ${job(4, 'job.new')}`,
      `    - operations["job.old"]: ${job(2, 'job.old')}`,
      `  rate card 3, from ${from}`,
      `    - operations["job.new"]: ${job(4, 'job.new')}`,
      '  terms and packs, at once',
      '    ~ packs.small.price: 5.00 USD -> 6.00 USD',
    ];
    expect(dry.stdout.split('\n')).toEqual([
      ...lines,
      'dry run: 1 to publish, nothing was published',
      '',
    ]);
    expect(await published()).toEqual(before);

    expect((await run('publish')).stdout.split('\n')).toEqual([...lines, 'published: 1', '']);
    await write(plan(operations, { price: '6.00 USD' }));
    expect((await run('publish', '--dry-run')).stdout.split('\n')).toEqual([
      'metered:',
      `  rate card 3, which would come into force ${from}, is withdrawn`,
      'dry run: 1 to publish, nothing was published',
      '',
    ]);
  });

  test('refuses what plans check refuses, and publishes none of the files', async () => {
    await write(plan([operation('job', 1)]));
    const bad = join(directory, 'unpayable.txt');
    await writeFile(bad, plan([operation('job', 1)], { price: '5.00 UDS' }));
    const error = `${bad}: line 6: packs[0].price: UDS is not a currency of ISO 4217\n`;
    expect(await run('check', bad)).toEqual({ exitCode: 1, stderr: '', stdout: error });
    for (const flags of [[], ['--dry-run']])
      expect(await run('publish', ...flags, join(directory, 'metered.yaml'), bad)).toEqual({
        exitCode: 1,
        stdout: '',
        stderr: `${error}nothing was published\n`,
      });
    expect(await published()).toEqual([]);
  });

  test('refuses a new price that is dated in the past', async () => {
    await write(plan([operation('job', 1)]));
    await run('publish');
    await execute(databaseUrl, `update rate_cards set created_at = '2020-01-01'`);
    await write(
      plan([operation('job', 1)], {
        changes: `changes:\n  - from: 2021-01-01\n    operations:\n    ${operation('job', 9)}`,
      }),
    );
    const before = await published();
    for (const flags of [[], ['--dry-run']]) {
      const ran = await run('publish', ...flags);
      expect(ran).toMatchObject({ exitCode: 1, stdout: '' });
      expect(ran.stderr).toContain('changes[0].from: 2021-01-01T00:00:00.000Z is past');
    }
    expect(await published()).toEqual(before);
  });

  test('is effective for a running replica at once', async () => {
    await write(plan([operation('job', 1)]));
    await run('publish');
    const scrip = await startTestService({ databaseUrl, publishesNothing: true });
    const accountId = await scrip.open('metered');
    await grant(scrip, accountId, 100n);
    const charge = async () =>
      (
        await scrip.billing.charge({
          accountId,
          requestId: requestId(),
          usages: { items: [{ operation: 'job' }] },
        })
      ).credits;
    expect(await charge()).toBe(1n);
    await write(plan([operation('job', 7)]));
    await run('publish');
    expect(await charge()).toBe(7n);
    await scrip.stop();
  });

  test('publishes nothing while the clocks disagree: a publication has a date', async () => {
    await write(plan([operation('job', 1)]));
    await execute(
      databaseUrl,
      `insert into clock_heartbeats (name, trusted_at, database_at, acceptance_id, writer)
       values ('newest', now() + interval '1 hour', now() + interval '1 hour', 0, gen_random_uuid())`,
    );
    const ran = await run('publish');
    expect(ran).toMatchObject({ exitCode: 2, stdout: '' });
    expect(ran.stderr).toMatch(/^scrip: nothing was published: the clocks .* disagree/);
    expect(await published()).toEqual([]);
    expect(await run('publish', '--dry-run')).toMatchObject({ exitCode: 0 });
  });

  test('says that the database is not migrated', async () => {
    await write(plan([operation('job', 1)]));
    databaseUrl = await createEmptyDatabase(inject('postgresUrl'));
    const ran = await run('publish');
    expect(ran).toMatchObject({ exitCode: 2, stdout: '' });
    expect(ran.stderr).toMatch(/^scrip: the database lacks .*: run npm run migrate\n$/);
  });

  test('cannot run without a database', async () => {
    await write(plan([operation('job', 1)]));
    const env = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/x', PLANS_DIRECTORY: directory };
    expect(await runScrip(['plans', 'publish'], env)).toMatchObject({ exitCode: 2, stdout: '' });
  });
});

describe('plans status', () => {
  test('says of each plan whether its file is published', async () => {
    await write(plan([operation('job', 1)]));
    expect(await run('status')).toEqual({
      exitCode: 1,
      stderr: '',
      stdout: 'metered: not published\n',
    });
    await run('publish');
    const other = join(directory, 'other.txt');
    await writeFile(other, plan([operation('job', 1)]).replace('metered', 'other'));
    await run('publish', other);
    expect(await run('status')).toEqual({
      exitCode: 0,
      stderr: '',
      stdout: 'metered: the file is published\nother: published, without a file\n',
    });
    await write(plan([operation('job', 2)]));
    expect(await run('status')).toMatchObject({
      exitCode: 1,
      stdout: expect.stringContaining('metered: the file differs from what is published'),
    });
  });
});

test('plans list shows the title in force, the accounts and the versions of the rate card', async () => {
  await write(plan([operation('job', 1)]));
  await run('publish');
  await write(plan([operation('job', 2)], { price: '6.00 USD' }).replace('Metered', 'Renamed'));
  await run('publish');
  expect(await run('list')).toEqual({
    exitCode: 0,
    stderr: '',
    stdout: 'metered: Renamed; accounts 0; rate card version 2 in force\n',
  });
});
