/** What must hold after every fault: the ledger is what the callers were told, and the audits agree. */
import { audit } from '../cluster/audit.ts';
import { startProgram } from '../process/replica.ts';
import type { Journal, Sent } from './journal.ts';
import type { Load } from './load.ts';
import { query } from './postgres-cluster.ts';

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
export async function check(load: Load, databaseUrl: string): Promise<Outcome> {
  const { journal } = load;
  const resolved = journal.all.filter(({ wasUnknown }) => wasUnknown);
  await load.resolve();
  for (const sent of journal.acknowledged.slice(-REPEATED)) await load.repeat(sent);

  const ledger = await readLedger(databaseUrl);
  const lost = findLost(journal, ledger);
  const doubled = findDoubled(journal, ledger);
  const broken = await audit(databaseUrl);
  return {
    acknowledged: journal.acknowledged.length,
    resolved: resolved.length,
    hadEffect: resolved.filter(({ hadEffect }) => hadEffect).length,
    lost: lost.length,
    doubled: doubled.length,
    verify: await verify(databaseUrl),
    problems: [
      ...journal.problems,
      ...lost.slice(0, 3).map((sent) => `lost: ${keyOfSent(sent)}, entry ${sent.seq}`),
      ...doubled.slice(0, 3).map((key) => `doubled: ${key}`),
      ...broken,
    ],
  };
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

/** The last line of `npm run verify`. */
async function verify(databaseUrl: string): Promise<string> {
  const program = startProgram(['src/verify/main.ts'], { DATABASE_URL: databaseUrl });
  const { code, stdout, stderr } = await program.ended;
  return code === 0 ? 'ok' : (stdout || stderr).trim();
}
