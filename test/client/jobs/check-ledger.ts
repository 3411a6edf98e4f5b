/** Compares what the callers were told with what the ledger charged. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Scrip } from '../../../clients/typescript/src/index.ts';
import { execute } from '../../postgres.ts';
import { startProgram } from '../../process/replica.ts';
import type { Told } from './client-process.ts';
import { ACCOUNTS, accountOf, LONGEST_TTL_MS, numberOf, planOf } from './job-plan.ts';

export type Checked = {
  /** Jobs whose promise resolved, or whose charge a journal had. */
  readonly finished: number;
  /** Of those: charged less or more than once. */
  readonly wrong: number;
  /** Reservations that outlived the last client, until their TTL. */
  readonly leftForTtl: number;
  readonly verify: string;
  readonly problems: readonly string[];
};

export async function checkLedger(
  scrip: Scrip,
  databaseUrl: string,
  told: Told,
  jobs: number,
): Promise<Checked> {
  const charged = await chargedByJob(databaseUrl);
  const finished = new Set([...told.done.keys(), ...told.decided]);
  const numbers = Array.from({ length: jobs }, (_, number) => number);
  const wrong = numbers.flatMap((number) => problemOf(number, told, finished, charged) ?? []);
  const leftForTtl = await activeReservations(databaseUrl);
  return {
    finished: finished.size,
    wrong: wrong.length,
    leftForTtl,
    problems: [
      ...told.problems,
      ...[...told.refused].flatMap(([number, reason]) =>
        planOf(number).isTooLarge && reason === 'INSUFFICIENT_CREDITS'
          ? []
          : [`job ${number} was refused: ${reason}`],
      ),
      ...wrong.slice(0, 5),
      ...(await stillReserved(scrip, leftForTtl)),
    ],
    verify: await verify(databaseUrl),
  };
}

function problemOf(
  number: number,
  told: Told,
  finished: ReadonlySet<number>,
  charged: ReadonlyMap<number, bigint>,
): string | null {
  const plan = planOf(number);
  const was = charged.get(number) ?? 0n;
  const say = (what: string) => `job ${number} ${what}: charged ${was}, not ${plan.charge}`;
  if (finished.has(number)) {
    const toldCharge = told.done.get(number) ?? null;
    if (was !== plan.charge) return say('is finished');
    return toldCharge !== null && toldCharge !== was ? say(`was told ${toldCharge}`) : null;
  }
  if (told.failed.has(number) || told.refused.has(number))
    return was === plan.charge ? null : say('failed');
  // Killed before it was decided: it may have charged its first parts.
  const sums = plan.parts.map((_, index) =>
    plan.parts.slice(0, index + 1).reduce((sum, part) => sum + part, 0n),
  );
  return [0n, ...sums].includes(was) ? null : say('was killed');
}

/** Credits of all commits and charges, by the number of their job. */
async function chargedByJob(databaseUrl: string): Promise<ReadonlyMap<number, bigint>> {
  const rows = await execute(
    databaseUrl,
    `select reference, sum(credits)::text as credits from history
     where kind in ('COMMIT', 'CHARGE') group by reference`,
  );
  return new Map(
    rows.map(({ reference, credits }) => [numberOf(String(reference)), BigInt(String(credits))]),
  );
}

async function activeReservations(databaseUrl: string): Promise<number> {
  const sql = 'select count(*)::int as count from reservations where state = 1';
  const [row] = await execute(databaseUrl, sql);
  return Number(row?.['count']);
}

/** Accounts that have something reserved when the last TTL is over. */
async function stillReserved(scrip: Scrip, left: number): Promise<readonly string[]> {
  if (left > 0) await sleep(LONGEST_TTL_MS);
  const accounts = Array.from({ length: ACCOUNTS }, (_, index) => accountOf(index));
  const balances = await Promise.all(
    accounts.map((accountId) => scrip.billing.getBalance({ accountId })),
  );
  return balances.flatMap(({ balance }, index) =>
    balance?.reserved === 0n ? [] : [`${accounts[index]} has ${balance?.reserved} reserved`],
  );
}

/** The last line of `npm run verify`. */
async function verify(databaseUrl: string): Promise<string> {
  const { code, stdout, stderr } = await startProgram(['src/verify/main.ts'], {
    DATABASE_URL: databaseUrl,
  }).ended;
  return code === 0 ? 'ok' : (stdout || stderr).trim();
}
