/** The last release and this version side by side on one database, forwards and back, under load. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { connect, type Scrip } from '../../clients/typescript/src/index.ts';
import { createEmptyDatabase } from '../postgres.ts';
import { SOON } from '../process/replica.ts';
import type { Command } from '../production/command.ts';
import { install, releasedCommit, thisVersion, type Version } from './release.ts';

const commit = releasedCommit();
if (!commit) process.stderr.write('skipped: the last release, which needs the history of git\n');

const READY = /"port":(\d+).*"msg":"ready"/;
const CALLERS = 8;
const accountId = 'busy';

type Replica = { readonly command: Command; readonly port: number };

describe.runIf(commit)('an upgrade', () => {
  let released: Version;
  let url: string;
  const replicas: Replica[] = [];
  beforeAll(async () => {
    released = await install(commit);
    url = await createEmptyDatabase(inject('postgresUrl'));
  });
  afterAll(async () => {
    await Promise.all(replicas.map(({ command }) => command.stop()));
    await released.remove();
  });

  async function run(version: Version, ...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await version.start(args, { DATABASE_URL: url }).ended;
    expect(code, `${stdout}${stderr}`).toBe(0);
    return stdout;
  }

  /** On the port of the replica that it follows. */
  async function start(version: Version, index: number) {
    const port = String(replicas[index]?.port ?? 0);
    const env = { HOST: '127.0.0.1', PORT: port, ADMIN_PORT: '0', WAIT_MAX_MS: '600000' };
    const command = version.start(['main'], { ...env, DATABASE_URL: url });
    const [, bound] = await command.waitFor(READY);
    replicas[index] = { command, port: Number(bound) };
  }

  async function replace(index: number, version: Version) {
    const ended = await replicas[index]?.command.stop();
    expect(ended, ended?.stderr).toMatchObject({ code: 0 });
    await start(version, index);
  }

  test('replicas of both serve, in either order, and the ledger is whole for both', async () => {
    await run(released, 'migrate');
    await run(released, 'cli/main', 'plans', 'publish');
    await start(released, 0);
    await start(released, 1);
    const addresses = replicas.map(({ port }) => `127.0.0.1:${port}`).join();
    const scrip = connect({ address: `ipv4:${addresses}`, caller: 'test', timeoutMs: 300_000 });
    await scrip.accounts.openAccount({ accountId, planId: 'verts' });
    const grant = { credits: 1_000_000n, category: 'CATEGORY_PAID', reason: 'a test' } as const;
    await scrip.accounts.grantCredits({ accountId, ...grant });
    const { balance: before } = await scrip.billing.getBalance({ accountId });

    const counts = { jobs: 0, isOver: false };
    const calling = Promise.all(
      Array.from({ length: CALLERS }, async () => {
        while (!counts.isOver) {
          await work(scrip);
          counts.jobs++;
        }
      }),
    );
    const proceed = async () => {
      const { jobs } = counts;
      await expect.poll(() => counts.jobs, SOON).toBeGreaterThan(jobs + 4 * CALLERS);
    };
    await proceed();
    await run(thisVersion, 'migrate');
    await proceed();
    await replace(0, thisVersion);
    await proceed();
    // Back: the migrated database serves the last release.
    await replace(0, released);
    await proceed();
    await replace(0, thisVersion);
    await replace(1, thisVersion);
    await proceed();
    counts.isOver = true;
    await calling;

    const { balance } = await scrip.billing.getBalance({ accountId });
    expect(balance?.available).toBe((before?.available ?? 0n) - 2n * BigInt(counts.jobs));
    expect(balance?.reserved).toBe(0n);
    scrip.close();
    for (const version of [thisVersion, released])
      expect(await run(version, 'verify/main')).toMatch(/^verify: ok \(1 account/);
  });
});

/** A job of 2 credits: one is charged at once, one is reserved before and committed after. */
async function work({ billing }: Scrip) {
  const { reservation } = await billing.reserve({ accountId, credits: 3n });
  await billing.charge({ accountId, credits: 1n });
  await billing.commit({
    accountId,
    reservationId: reservation?.reservationId ?? '',
    credits: 1n,
  });
}
