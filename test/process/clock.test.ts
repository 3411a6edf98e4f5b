/** The service and the command line as processes, on hosts with a right and with a wrong clock. */
import { afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { DAY } from '../accounts.ts';
import { createDatabase, execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId } from '../service.ts';
import { end, logOf, type Program, startProgram, startReplica } from './replica.ts';

/** Sets the wall clock of a process. */
const hostAheadBy = (ms: number) =>
  `data:text/javascript,const now = Date.now; Date.now = () => now() + ${ms}`;

let databaseUrl: string;
const programs: Program[] = [];
beforeAll(async () => {
  databaseUrl = await createDatabase(inject('postgresUrl'));
});
afterEach(async () => {
  await Promise.all(programs.splice(0).map(end));
});

async function start(imports: readonly string[] = []) {
  const replica = await startReplica({ DATABASE_URL: databaseUrl }, imports);
  programs.push(replica);
  return replica;
}

async function clock(command: 'status' | 'accept', aheadMs = 0) {
  const args = ['--import', hostAheadBy(aheadMs), 'src/cli/main.ts', 'clock', command];
  const program = startProgram(args, { DATABASE_URL: databaseUrl });
  programs.push(program);
  return await program.ended;
}

const acceptances = async () =>
  (await execute(databaseUrl, 'select count(*)::int as count from clock_acceptances'))[0]?.[
    'count'
  ];

describe('a process whose host is 90 days ahead', () => {
  test('starts, expires nothing, fails calls, and says why once', async () => {
    const right = await start();
    const accountId = `acct-${requestId()}`;
    const named = () => ({ accountId, requestId: requestId() });
    await right.accounts.openAccount({ ...named(), planId: 'verts' });
    const expiresAt = new Date(Date.now() + 30 * DAY);
    await right.accounts.grantCredits({
      reason: 'a test',
      ...named(),
      credits: 500n,
      category: 1,
      expiresAt,
    });

    const wrong = await start([hostAheadBy(90 * DAY)]);
    const error = await errorOf(wrong.billing.charge({ ...named(), credits: 1n }));
    expect(error.reason).toBe('CLOCK_UNRELIABLE');
    const lines = logOf((await wrong.signal('SIGTERM')).stdout);
    const said = lines.filter(({ msg }) => String(msg).startsWith('the clocks disagree'));
    expect(said).toMatchObject([{ database_ahead_ms: expect.any(Number) }]);
    expect(said[0]?.['host_ahead_ms']).toBeGreaterThan(89 * DAY);

    await right.billing.charge({ ...named(), credits: 1n });
    const { balance } = await right.billing.getBalance({ accountId });
    expect(balance?.available).toBe(499n);
  });
});

describe('scrip clock', () => {
  test('status shows the clocks, and exits with 0 where they agree', async () => {
    await start();
    const { code, stdout } = await clock('status');
    expect(stdout).toMatch(/^trusted {6}20/m);
    expect(stdout).toMatch(
      /^database {5}20\S+Z\nthis machine 20\S+Z {2}\S+ s (ahead of|behind) the database\n/,
    );
    expect(code).toBe(0);
  });

  test('status exits with 1 where the clock of this machine is another one', async () => {
    const { code, stdout } = await clock('status', 90 * DAY);
    const ahead = Number(/ (\S+) s ahead of the database/.exec(stdout)?.[1]) * 1_000;
    expect(Math.abs(ahead - 90 * DAY)).toBeLessThan(DAY);
    expect(code).toBe(1);
  });

  test('accept shows the clocks and accepts that of the database', async () => {
    const before = await acceptances();
    const { code, stdout } = await clock('accept');
    expect(stdout).toMatch(/^database.*\naccepted: it is 20\S+Z\n$/s);
    expect(code).toBe(0);
    expect(await acceptances()).toBe(Number(before) + 1);
  });

  test('accept refuses where the clock of this machine is another one', async () => {
    const before = await acceptances();
    const { code, stderr } = await clock('accept', 90 * DAY);
    expect(code).toBe(1);
    expect(stderr).toContain('not accepted');
    expect(await acceptances()).toBe(before);
  });
});
