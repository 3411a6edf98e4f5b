/** Replays the entries of a group of accounts, and holds accounts and grants against them. */
import type { Entry } from '../ledger/entry.ts';
import type { Row } from '../pg/table.ts';
import { entries as table } from '../store/tables/entries.ts';
import { type AccountGroup, accountOf, grantsOf } from './account-group.ts';
import { checkGrants } from './grants.ts';
import { isBucket } from './moves.ts';
import { Replay } from './replay.ts';

/** Answers how many entries there are. */
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
    const account = accountOf(group, row, 'entries');
    const replay = account && replays.get(account.accountId);
    if (replay) take(replay, row);
  }
  for (const [accountId, replay] of replays) {
    replay.close();
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

function take(replay: Replay, row: Row) {
  const entry = read(row);
  if (entry instanceof Error) replay.skip(BigInt(row['seq']!), row['hash']!, entry.message);
  else replay.take(entry);
}

/** Of its moves and usages the database only knows that they are JSON. */
function read(row: Row): Entry | Error {
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
