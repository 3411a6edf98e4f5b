/** `scrip trace` of an id that more entries have than the service looks at. */
import { expect, test } from 'vitest';
import { openWithCredits } from '../accounts.ts';
import { named } from '../operator/traced.ts';
import { startTestService } from '../service.ts';
import { runScrip } from './run-scrip.ts';

/** The service looks at 10,000. */
const BATCHES = 11;
const OF_A_BATCH = 1_000;

test('it says that it has not looked at all of them', async () => {
  const scrip = await startTestService();
  try {
    const accountId = await openWithCredits(scrip, 1n);
    const reference = 'the same for every job';
    const charge = () => ({ ...named(accountId), credits: 0n, reference });
    for (let batch = 0; batch < BATCHES; batch += 1) {
      const { results } = await scrip.billing.batch({
        mutations: Array.from({ length: OF_A_BATCH }, () => ({
          mutation: { $case: 'charge' as const, value: charge() },
        })),
      });
      expect(results).toHaveLength(OF_A_BATCH);
    }
    const env = { SCRIP_ADDRESS: `127.0.0.1:${scrip.service.port}` };
    const args = ['trace', reference, '--kind', 'reference', '--limit', '100000'];
    const ran = await runScrip(args, env);
    expect(ran.exitCode).toBe(5);
    expect(ran.stdout.match(/ CHARGE /g)).toHaveLength(10_000);
    expect(ran.stderr).toBe(
      'too many entries have it to look at all of them: name the --account, or another id\n',
    );
    const few = await runScrip(['trace', reference, '--limit', '3', '--json'], env);
    const { candidates, hasMore, truncated } = JSON.parse(few.stdout);
    expect({ found: candidates.length, hasMore, truncated }).toEqual({
      found: 3,
      hasMore: true,
      truncated: true,
    });
    expect(few.stderr).toContain('there are more than 3: raise --limit\n');
  } finally {
    await scrip.stop();
  }
});
