/** Replays the entries of a group of accounts, and compares accounts and grants with the result. */
import type { Entry } from '../ledger/entry.ts';
import type { Row } from '../pg/table.ts';
import { entries as table } from '../store/tables/entries.ts';
import { type AccountGroup, findAccount, grantsOf } from './account-group.ts';
import { checkGrants } from './grants.ts';
import { isBucket } from './moves.ts';
import { Replay } from './replay.ts';

/** Returns the number of entries. */
export async function checkEntries(group: AccountGroup): Promise<number> {
  const replays = new Map<string, Replay>();
  for (const account of group.accounts.values()) {
    const { accountId } = account;
    replays.set(
      accountId,
      new Replay(
        account,
        grantsOf(group, accountId),
        group.closedUntil.get(accountId) ?? null,
        reporterFor(group, accountId),
      ),
    );
  }
  let entries = 0;
  const rows = group.snapshot.rows(
    (inRange) =>
      `select ${table.selectList} from entries where ${inRange('account_id')} order by account_id, seq`,
  );
  for await (const row of rows) {
    entries += 1;
    const account = findAccount(group, row, 'entries');
    const replay = account && replays.get(account.accountId);
    if (replay) replayRow(replay, row);
  }
  for (const [accountId, replay] of replays) {
    replay.finish();
    checkGrants(replay, grantsOf(group, accountId), reporterFor(group, accountId));
  }
  for (const accountId of group.grants.keys())
    if (!group.accounts.has(accountId))
      group.findings.add(accountId, 'has grants, but there is no such account');
  return entries;
}

const reporterFor =
  ({ findings }: AccountGroup, accountId: string) =>
  (what: string) =>
    findings.add(accountId, what);

function replayRow(replay: Replay, row: Row) {
  const entry = parseEntry(row);
  if (entry instanceof Error) replay.skip(BigInt(row['seq']!), row['hash']!, entry.message);
  else replay.apply(entry);
}

/** The database checks only that moves and usages are JSON, so an entry may be unreadable. */
function parseEntry(row: Row): Entry | Error {
  try {
    const entry = table.read(row);
    const unknown = entry.moves
      .flatMap(({ from, to }) => [from, to])
      .find((name) => !isBucket(name));
    return unknown === undefined ? entry : new Error(`there is no bucket ${unknown}`);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
