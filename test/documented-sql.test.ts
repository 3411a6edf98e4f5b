/** SQL that pages show runs on the tables and views that there are. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { snippetsOf } from './docs/snippets.ts';
import { execute } from './postgres.ts';
import { requestId, startTestService, type TestService } from './service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
  await scrip.accounts.openAccount({
    accountId: 'acme',
    requestId: requestId(),
    planId: 'perfectparser',
  });
  for (let entry = 3; entry <= 17; entry++)
    await scrip.billing.charge({
      accountId: 'acme',
      requestId: requestId(),
      credits: 1n,
      reference: 'job-17',
    });
});
afterAll(() => scrip.stop());

const ofEntries = snippetsOf('docs/entries.md')
  .filter(({ language }) => language === 'sql')
  .flatMap(({ content }) => content.trim().split('\n'));
/** What psql gets by its option -c. */
const ofRunbook = snippetsOf('deploy/observability/RUNBOOK.md')
  .flatMap(({ content }) => content.split('\n'))
  .flatMap((line) => /^psql .* -c (?:'([^']*)'|"([^"]*)")$/.exec(line) ?? [])
  .filter((part) => part?.startsWith('select'));

/** Ids that a page shortens. */
const filled = (sql: string): string =>
  sql.replaceAll(/'(?:0199)?…'/g, "'0199f0c4-6a5e-7c3a-9b1d-2e4f6a8b0c1d'");

test('pages have some', () => {
  expect(ofEntries.length).toBeGreaterThan(5);
  expect(ofRunbook).toHaveLength(2);
});

test.each([...ofEntries, ...ofRunbook])('%s', async (sql) => {
  const rows = await execute(scrip.databaseUrl, filled(sql));
  // What the page says of the account acme is said of that of this test.
  if (/acme|job-17/.test(sql)) expect(rows.length).toBeGreaterThan(0);
});
