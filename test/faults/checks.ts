/** What must hold after every fault: the ledger is what the callers were told, and the audits agree. */
import { setTimeout as sleep } from 'node:timers/promises';
import { audit } from '../cluster/audit.ts';
import { startProgram } from '../process/replica.ts';
import type { Follower } from './follower.ts';
import type { Journal, Sent } from './journal.ts';
import { query } from './postgres-cluster.ts';
import type { Loss, Scene } from './scene.ts';

const FOLLOWER_TIMEOUT_MS = 60_000;
/** How many acknowledged requests are sent once more. */
const REPEATED = 200;

type Row = {
  readonly account_id: string;
  readonly method: string;
  readonly request_id: string;
  readonly seq: string;
  readonly credits: string;
};

/** The entries with a request of the load, by that request. */
export type Ledger = ReadonlyMap<string, readonly Row[]>;

export type Outcome = {
  readonly acknowledged: number;
  /** Requests whose outcome was unknown for a while, and how many of them had taken effect before they were repeated. */
  readonly resolved: number;
  readonly hadEffect: number;
  readonly lost: number;
  /** Why that many may be lost; absent: none may. */
  readonly lossExpected?: string;
  readonly doubled: number;
  readonly verify: string;
  readonly problems: readonly string[];
};

const keyOf = (accountId: string, method: string, requestId: string) =>
  `${accountId} ${method} ${requestId}`;
export const keyOfSent = ({ accountId, method, requestId }: Sent): string =>
  keyOf(accountId, method, requestId);

export async function readLedger(databaseUrl: string): Promise<Ledger> {
  const rows = await query<Row>(
    databaseUrl,
    `select account_id, method, request_id, seq, credits from history
     where method is not null and method <> 'OpenAccount'`,
  );
  return Map.groupBy(rows, (row) => keyOf(row.account_id, row.method, row.request_id));
}

/** Resolves what is unknown, then compares the ledger with the journal. */
export async function check({ load, postgres, loss }: Scene): Promise<Outcome> {
  const { journal } = load;
  const databaseUrl = postgres.url;
  const lost = findLost(journal, await readLedger(databaseUrl));
  const problems = [...(loss ? lossProblems(lost, loss) : lost.slice(0, 3).map(describe('lost')))];
  if (loss) for (const sent of lost) journal.forget(sent);
  const resolved = journal.all.filter(({ wasUnknown }) => wasUnknown).length;
  await load.resolve();
  for (const sent of journal.acknowledged.slice(-REPEATED)) await load.repeat(sent);

  const ledger = await readLedger(databaseUrl);
  const followed = await compareFollower(load.follower, databaseUrl);
  const lostOfFollowed = lost.some(({ accountId }) => accountId === load.follower.accountId);
  if (load.follower.losses > 0 !== lostOfFollowed)
    problems.push(`the follower was told ${load.follower.losses} times that entries were lost`);
  const doubled = findDoubled(journal, ledger);
  return {
    acknowledged: journal.acknowledged.length,
    resolved,
    hadEffect: journal.all.filter(({ hadEffect }) => hadEffect).length,
    lost: lost.length,
    ...(loss && { lossExpected: loss.of }),
    doubled: doubled.length,
    verify: await verify(databaseUrl),
    problems: [
      ...problems,
      ...journal.problems,
      ...followed,
      ...findLost(journal, ledger).slice(0, 3).map(describe('not in the ledger')),
      ...doubled.slice(0, 3).map((key) => `doubled: ${key}`),
      ...(await audit(databaseUrl)),
    ],
  };
}

const describe = (what: string) => (sent: Sent) => `${what}: ${keyOfSent(sent)}, entry ${sent.seq}`;

/** Of each account only the newest acknowledged writes may be lost, and none that was to be kept. */
function lossProblems(lost: readonly Sent[], { kept, before }: Loss): readonly string[] {
  if (lost.length === 0) return ['nothing was lost: the fault did not happen'];
  const firstLost = new Map<string, bigint>();
  for (const { accountId, seq } of lost)
    if (seq !== null && seq < (firstLost.get(accountId) ?? seq + 1n)) firstLost.set(accountId, seq);
  const isLost = new Set(lost);
  const wrongly = lost.filter((sent) => kept.has(sent) || !before.has(sent));
  const notNewest = [...before].filter(
    (sent) =>
      !isLost.has(sent) && (sent.seq ?? 0n) > (firstLost.get(sent.accountId) ?? sent.seq ?? 0n),
  );
  return [
    ...wrongly.slice(0, 3).map(describe('lost, though it was to be kept')),
    ...notNewest.slice(0, 3).map(describe('kept, though an older one was lost')),
  ];
}

/** Acknowledged requests without the entry that they were answered with. */
export const findLost = (journal: Journal, ledger: Ledger): readonly Sent[] =>
  journal.acknowledged.filter((sent) => {
    const [row] = ledger.get(keyOfSent(sent)) ?? [];
    return row?.seq !== String(sent.seq) || row.credits !== String(sent.credits);
  });

/** Requests with two entries, with one though they were refused, or that nobody sent. */
function findDoubled(journal: Journal, ledger: Ledger): readonly string[] {
  const sent = new Map(journal.all.map((request) => [keyOfSent(request), request]));
  return [...ledger]
    .filter(([key, rows]) => rows.length > 1 || (sent.get(key)?.isRefused ?? true))
    .map(([key]) => key);
}

/** The follower has every entry of its account, once, as the ledger has it. */
async function compareFollower(follower: Follower, databaseUrl: string) {
  const rows = await query<{ seq: string; hash: Buffer }>(
    databaseUrl,
    'select seq, hash from entries where account_id = $1 order by seq',
    [follower.accountId],
  );
  const until = performance.now() + FOLLOWER_TIMEOUT_MS;
  while (follower.newest < BigInt(rows.length) && performance.now() < until) await sleep(50);
  await follower.stop();
  const different = rows.find(
    ({ seq, hash }) => follower.hashes.get(BigInt(seq)) !== hash.toString('hex'),
  );
  return [
    ...follower.problems.slice(0, 3),
    ...(different ? [`the follower does not have entry ${different.seq} of the ledger`] : []),
  ];
}

/** The last line of `npm run verify`. */
async function verify(databaseUrl: string): Promise<string> {
  const program = startProgram(['src/verify/main.ts'], { DATABASE_URL: databaseUrl });
  const { code, stdout, stderr } = await program.ended;
  return code === 0 ? 'ok' : (stdout || stderr).trim();
}
