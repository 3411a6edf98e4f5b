/** Two cells on two PostgreSQL servers. The first has every slot, as an installation that began with one has. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import type { CellMap } from '../../src/cells/cell-map.ts';
import type { CellAddress } from '../../src/cells/cells-file.ts';
import { findInstallation, type Installation } from '../../src/cells/installation.ts';
import { slotOf } from '../../src/cells/slot.ts';
import { startEmbeddedPostgres } from '../../src/embedded-postgres/embedded-postgres.ts';
import { migrateConfigured } from '../../src/migration.ts';
import { publishInCells } from '../../src/plan-publication.ts';
import type { PlanFile } from '../../src/pricing/plan.ts';
import { MOVING_TABLES } from '../../src/slot-moves/account-tables.ts';
import { cellsOf } from '../cells/installation.ts';
import { createEmptyDatabase, execute } from '../postgres.ts';
import { plansOfDeploy } from '../service.ts';

export type TwoLedgers = {
  readonly file: string;
  readonly cells: readonly [old: CellAddress, other: CellAddress];
  readonly installation: () => Promise<Installation>;
  readonly map: () => Promise<CellMap>;
  readonly stop: () => Promise<void>;
};

/** `firstUrl`: of a ledger that has accounts already. */
export async function startTwoLedgers(
  plans: readonly PlanFile[] | null = null,
  firstUrl: string | null = null,
): Promise<TwoLedgers> {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-moves-'));
  const postgres = await startEmbeddedPostgres(join(directory, 'server'));
  const file = join(directory, 'cells.yaml');
  const one = firstUrl ?? (await createEmptyDatabase(inject('postgresUrl')));
  const list = (...urls: readonly string[]) =>
    writeFile(
      file,
      `cells:\n${urls.map((url, index) => `  - { name: ${['old', 'new'][index]}, database_url: "${url}", schema: ${['public', 'ledger'][index]} }\n`).join('')}`,
    );
  // First it has one cell, which gets every slot.
  await list(one);
  await migrateConfigured({ CELLS_FILE: file });
  await list(one, postgres.url);
  await migrateConfigured({ CELLS_FILE: file });
  const cells = cellsOf(file) as readonly [CellAddress, CellAddress];
  await publishInCells(cells, plans ?? (await plansOfDeploy()), 60_000);
  const installation = async () => {
    const found = await findInstallation(cells, true);
    if ('problems' in found) throw new Error(found.problems.join('; '));
    return found.installation;
  };
  return {
    file,
    cells,
    installation,
    map: async () => (await installation()).map,
    async stop() {
      await postgres.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** What a move has installed in the database of a cell. */
export const triggersOfMoves = ({ url }: CellAddress) =>
  execute(url, `select tgname from pg_trigger where tgname like 'slot\\_move\\_%'`);

let count = 0;

/** An account id in one of the slots from `first` to `last`. */
export function idInSlots(first: number, last: number, beginning = 'acct'): string {
  for (;;) {
    const id = `${beginning}-${String(++count).padStart(5, '0')}`;
    const slot = slotOf(id);
    if (slot >= first && slot <= last) return id;
  }
}

/** The rows of an account, table by table, as text; without what says where events have their positions. */
export async function rowsOf(
  { url }: CellAddress,
  accountId: string,
): Promise<Readonly<Record<string, readonly string[]>>> {
  const rows: Record<string, readonly string[]> = {};
  for (const [table, column] of Object.entries(MOVING_TABLES)) {
    if (column !== 'account_id') continue;
    const found = await execute(
      url,
      `select (to_jsonb(t) - 'position')::text as row from ${table} t where account_id = '${accountId}' order by 1`,
    );
    rows[table] = found.map(({ row }) => String(row));
  }
  return rows;
}
