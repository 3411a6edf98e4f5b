/** Compares the ledger with an anchor: what it said at that time must be what it says now. */
import type pg from 'pg';
import {
  type AnchoredAccount,
  type AnchoredPlan,
  type AnchorSummary,
  readAnchorFile,
} from '../anchors/anchor-file.ts';
import type { PublicAnchorKey } from '../anchors/anchor-key.ts';
import type { RecordedCell } from '../cells/agreement.ts';
import { slotOf } from '../cells/slot.ts';
import { inReadOnlySnapshot } from '../pg/cursor.ts';
import type { AuditedArchive } from './archive.ts';
import type { Discrepancy } from './findings.ts';

export type Anchor = { readonly file: string; readonly keys: readonly PublicAnchorKey[] };

/** Accounts per query. */
const GROUP_SIZE = 1_000;

/** Throws InvalidAnchor where the file proves nothing. */
export async function checkAnchor(
  client: pg.Client,
  archive: AuditedArchive | null,
  { file, keys }: Anchor,
  cell: RecordedCell | null,
): Promise<{ readonly summary: AnchorSummary; readonly discrepancies: readonly Discrepancy[] }> {
  const discrepancies: Discrepancy[] = [];
  let group: AnchoredAccount[] = [];
  const accounts = readAnchorFile(file, keys);
  for (;;) {
    const { done, value } = await accounts.next();
    if (!done) group.push(value);
    if (done || group.length === GROUP_SIZE) {
      const here = group.filter((one) => !isElsewhere(one, cell));
      discrepancies.push(...(await compare(client, archive, here)));
      group = [];
    }
    if (!done) continue;
    discrepancies.push(...(await comparePlans(client, value.plans)));
    return { summary: value.summary, discrepancies };
  }
}

/** Accounts that were moved to another cell since are compared there. */
const isElsewhere = ({ accountId }: AnchoredAccount, cell: RecordedCell | null): boolean =>
  cell !== null && cell.map.cells[slotOf(accountId)] !== cell.name;

type FoundPlan = {
  readonly revision: number | null;
  readonly hash: string | null;
  readonly versionHash: string | null;
  readonly rateCardHash: string | null;
};

/** Versions that were published since cover the ones of the anchor. */
async function comparePlans(client: pg.Client, plans: readonly AnchoredPlan[]) {
  const discrepancies: Discrepancy[] = [];
  for (const { planId, version, rateCard, ...anchored } of plans) {
    const { rows } = await client.query<FoundPlan>(
      `select (select revision from plans where plan_id = $1) as revision,
         (select encode(hash, 'hex') from plans where plan_id = $1) as hash,
         (select encode(hash, 'hex') from plan_versions where plan_id = $1 and version = $2) as "versionHash",
         (select encode(hash, 'hex') from rate_cards where plan_id = $1 and version = $3) as "rateCardHash"`,
      [planId, version, rateCard],
    );
    const found = rows[0] as FoundPlan;
    const report = (what: string) => discrepancies.push({ accountId: null, what });
    const revision = found.revision ?? 0;
    if (revision < anchored.revision)
      report(`plan ${planId}: the anchor has revision ${anchored.revision}, it is ${revision}`);
    if (revision === anchored.revision && found.hash !== anchored.hash)
      report(`plan ${planId}: its hash is not that of the anchor`);
    if (found.versionHash !== anchored.versionHash)
      report(`version ${version} of plan ${planId}: its hash is not that of the anchor`);
    if (found.rateCardHash !== anchored.rateCardHash)
      report(`rate card ${rateCard} of plan ${planId}: its hash is not that of the anchor`);
  }
  return discrepancies;
}

type FoundRow = {
  readonly exists: boolean;
  readonly newest: string | null;
  readonly hash: Buffer | null;
};

async function compare(
  client: pg.Client,
  archive: AuditedArchive | null,
  group: readonly AnchoredAccount[],
) {
  return await inReadOnlySnapshot(client, async () => {
    if (archive) await archive.loadAccounts(group.map(({ accountId }) => accountId));
    return await compareRows(client, group);
  });
}

async function compareRows(client: pg.Client, group: readonly AnchoredAccount[]) {
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
