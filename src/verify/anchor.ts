/** Compares the ledger with an anchor: what it said at that time must be what it says now. */
import type pg from 'pg';
import {
  type AnchoredAccount,
  type AnchorSummary,
  readAnchorFile,
} from '../anchors/anchor-file.ts';
import type { PublicAnchorKey } from '../anchors/anchor-key.ts';
import type { Discrepancy } from './findings.ts';

export type Anchor = { readonly file: string; readonly keys: readonly PublicAnchorKey[] };

/** Accounts per query. */
const GROUP_SIZE = 1_000;

/** Throws InvalidAnchor where the file proves nothing. */
export async function checkAnchor(
  client: pg.Client,
  { file, keys }: Anchor,
): Promise<{ readonly summary: AnchorSummary; readonly discrepancies: readonly Discrepancy[] }> {
  const discrepancies: Discrepancy[] = [];
  let group: AnchoredAccount[] = [];
  const accounts = readAnchorFile(file, keys);
  for (;;) {
    const { done, value } = await accounts.next();
    if (!done) group.push(value);
    if (done || group.length === GROUP_SIZE) {
      discrepancies.push(...(await compare(client, group)));
      group = [];
    }
    if (done) return { summary: value, discrepancies };
  }
}

type FoundRow = {
  readonly exists: boolean;
  readonly newest: string | null;
  readonly hash: Buffer | null;
};

async function compare(client: pg.Client, group: readonly AnchoredAccount[]) {
  const { rows } = await client.query<FoundRow>(
    `select a.account_id is not null as exists, a.seq as newest, e.hash
     from unnest($1::text[], $2::bigint[]) with ordinality as n(account_id, seq, index)
     left join accounts a on a.account_id = n.account_id
     left join entries e on e.account_id = n.account_id and e.seq = n.seq
     order by n.index`,
    [group.map(({ accountId }) => accountId), group.map(({ seq }) => seq)],
  );
  return group.flatMap((anchored, index) => {
    const what = differenceOf(anchored, rows[index] as FoundRow);
    return what === null ? [] : [{ accountId: anchored.accountId, what }];
  });
}

function differenceOf({ seq, hash }: AnchoredAccount, { exists, newest, hash: found }: FoundRow) {
  if (!exists) return `the anchor has it with ${seq} entries, and there is no such account`;
  if (found === null) return `entry ${seq}: the anchor has it, and the newest entry is ${newest}`;
  if (!found.equals(hash)) return `entry ${seq}: its hash is not that of the anchor`;
  return null;
}
