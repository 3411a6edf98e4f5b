/** `scrip rerate` of a ledger of which a part is archived. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mapOf } from '../../src/map-of.ts';
import { publishAt } from '../../src/plan-publication.ts';
import { grant, HOUR } from '../accounts.ts';
import { archiveLedger, temporaryDirectory } from '../archive/archiving.ts';
import { capture } from '../cli/in-process.ts';
import { planIn } from '../pricing/fixtures.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const planOf = (credits: number) =>
  planIn(`
plan_id: reading
title: Reading
terms: { reservation: { ttl: 15m, max_ttl: 1h, grace: 1h } }
packs: []
operations:
  read:
    title: Reads pages
    billable: true
    quantities: { pages: { title: Pages, unit: page, min: 1, max: 1000 } }
    components: [{ kind: per_unit, label: Pages, quantity: pages, credits: ${credits} }]
`);

const directory = temporaryDirectory();
let scrip: TestService;
/** One of whose charges is archived, and one that has nothing archived. */
let old: string;
let young: string;
let archivedAt: string;

beforeAll(async () => {
  scrip = await startTestService({
    plans: [planOf(3)],
    frozenAt: Date.UTC(2031, 0, 10),
    env: { ARCHIVE_DIRECTORY: directory },
  });
  old = await open();
  archivedAt = new Date(scrip.now()).toISOString();
  await read(old);
  scrip.advance(90 * 24 * HOUR);
  await scrip.service.sweep();
  // The service goes on with version 1, which is in force until then.
  for (const [index, credits] of [2, 1].entries()) {
    scrip.advance(1);
    await publishAt(scrip.databaseUrl, [planOf(credits)], scrip.now() + 1_000 * HOUR * (index + 1));
  }
  await read(old);
  young = await open();
  await read(young);
  await archiveLedger(scrip, directory, '2031-03');
});
afterAll(() => scrip.stop());

async function open(): Promise<string> {
  const accountId = await scrip.open('reading');
  await grant(scrip, accountId, 1_000n);
  return accountId;
}
const read = (accountId: string) =>
  scrip.billing.charge({
    ...{ accountId, requestId: requestId() },
    usages: { items: [{ operation: 'read', quantities: mapOf({ pages: 10n }), count: 1n }] },
  });

async function rerate(...args: string[]) {
  const env = { DATABASE_URL: scrip.databaseUrl };
  const { exitCode, lines } = await capture(['rerate', 'reading', ...args, '--csv'], env);
  const textOf = (of: string) => lines.flatMap(({ stream, text }) => (stream === of ? text : []));
  return { exitCode, charges: textOf('stdout').length - 1, stderr: textOf('stderr').join('\n') };
}

test.each([
  ['a version that has priced what is archived', ['--wrong', '1']],
  ['a time that reaches back to it', ['--from', '2031-01-01', '--to', '2031-05-01']],
])('%s is refused, and the error says from when on nothing is archived', async (_, chosen) => {
  const { exitCode, stderr } = await rerate(...chosen, '--right', '2');
  expect(exitCode).toBe(2);
  expect(stderr).toContain(`--from must be after ${archivedAt}: entries up to then are archived`);
});

test.each([
  ['a version, from a later time on', ['--wrong', '1', '--from', '2031-02-01']],
  ['a later time', ['--from', '2031-02-01', '--to', '2031-05-01']],
])('%s is listed', async (_, chosen) => {
  expect(await rerate(...chosen, '--right', '2')).toMatchObject({ exitCode: 1, charges: 2 });
});

test('a version that was published after what is archived needs no time', async () => {
  expect(await rerate('--wrong', '3', '--right', '2')).toMatchObject({ exitCode: 0, charges: 0 });
});

test('an account of which nothing is archived is rerated whatever is archived of others', async () => {
  const chosen = ['--wrong', '1', '--right', '2', '--account'];
  expect(await rerate(...chosen, young)).toMatchObject({ exitCode: 1, charges: 1 });
  expect(await rerate(...chosen, old)).toMatchObject({ exitCode: 2 });
});
