/** What is archived is read, audited and refused as before: whatever the history, and wherever the border is. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verify } from '../../src/verify/verify.ts';
import { DAY } from '../accounts.ts';
import { EVENTFUL, makeHistory, steps } from '../rpc/random-history.ts';
import { startTestService, type TestService } from '../service.ts';
import { archiveLedger, temporaryDirectory } from './archiving.ts';

const START = Date.parse('2024-01-10T12:00:00Z');
const directory = temporaryDirectory();

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({
    plans: [EVENTFUL],
    frozenAt: START,
    env: { ARCHIVE_DIRECTORY: directory },
  });
});
afterAll(() => scrip.stop());

test('an audit of any histories holds before and after months of them are archived', async () => {
  let archived = 0;
  for (let month = 0; month < 4; month++) {
    await fc.assert(
      fc.asyncProperty(steps(40), async (all) => void (await makeHistory(scrip, all))),
      { numRuns: 3 },
    );
    scrip.advance(DAY * 31);
    await scrip.service.sweep();
    await scrip.service.countUsage();
    await scrip.service.countMovements();
    const audited = { all: true, archiveDirectory: directory };
    expect(await verify(scrip.databaseUrl, audited)).toMatchObject({ ok: true });
    const before = new Date(scrip.now() - 20 * DAY).toISOString().slice(0, 7);
    const parts = await archiveLedger(scrip, directory, before, { partMax: 40 });
    for (const { deleted } of parts) archived += deleted;
    expect(await verify(scrip.databaseUrl, audited)).toMatchObject({ ok: true });
  }
  expect(archived).toBeGreaterThan(100);
});
