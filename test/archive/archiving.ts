/** Archives the ledger of a test service, with the clock of the service. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ArchivedPart, archive } from '../../src/archiver/archiver.ts';
import type { WriteCheckpoint } from '../../src/archiver/finish-part.ts';
import { connectAsArchiver } from '../../src/pg/orm.ts';
import { entities } from '../../src/store/tables/index.ts';
import { startOtherReplica } from '../lanes/other-replica.ts';
import type { TestService } from '../service.ts';

export const temporaryDirectory = (): string => mkdtempSync(join(tmpdir(), 'scrip-archive-'));

export type ArchiveLedgerOptions = {
  readonly partMax?: number;
  /** In place of what appends checkpoints. */
  readonly around?: (write: WriteCheckpoint) => WriteCheckpoint;
  readonly onPart?: (part: ArchivedPart) => void;
};

/** Counts usage, then archives the months before `before`, such as "2024-03". */
export async function archiveLedger(
  scrip: TestService,
  directory: string,
  before: string,
  options: ArchiveLedgerOptions = {},
): Promise<readonly ArchivedPart[]> {
  const { partMax = 1_000, around = (write) => write, onPart } = options;
  await scrip.service.countUsage();
  await scrip.service.countMovements();
  const replica = await startOtherReplica(scrip);
  const orm = await connectAsArchiver(scrip.databaseUrl, entities);
  const parts: ArchivedPart[] = [];
  const trace = { traceId: '', spanId: '', sampled: false };
  try {
    await archive({
      em: () => orm.em.fork(),
      directory,
      before: Date.parse(`${before}-01T00:00:00Z`),
      partMax,
      writeCheckpoint: around((accountId, command) =>
        replica.lanes.execute(accountId, command, trace),
      ),
      onPart: (part) => {
        onPart?.(part);
        parts.push(part);
      },
    });
  } finally {
    await orm.close();
    await replica.stop();
  }
  return parts;
}
