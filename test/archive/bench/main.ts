/**
 * `npm run archive:bench -- --entries N`: writes a ledger of N entries over 24 months through the RPCs, archives 23 of
 * them while calls go on, and says what that takes, what stays in the database, and what reads across the border take.
 */
import '../../../src/telemetry/sdk.ts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { archive } from '../../../src/archiver/archiver.ts';
import { connectAsArchiver } from '../../../src/pg/orm.ts';
import { entities } from '../../../src/store/tables/index.ts';
import { verify } from '../../../src/verify/verify.ts';
import { startOtherReplica } from '../../lanes/other-replica.ts';
import { startSimulatedService } from '../../year/simulated-service.ts';
import { Load } from './load.ts';
import { readAcross } from './reads.ts';
import { sizesOf } from './sizes.ts';

const { values } = parseArgs({
  options: {
    entries: { type: 'string', default: '200000' },
    accounts: { type: 'string', default: '500' },
    'part-entries': { type: 'string', default: '200000' },
  },
});
const entries = Number(values.entries);
const MONTHS = 24;
const STARTS_AT = Date.UTC(2024, 0, 1);
const monthAt = (index: number): number => Date.UTC(2024, index, 1);

const print = (text: string) => process.stdout.write(`${text}\n`);
const seconds = (since: number): string => `${((performance.now() - since) / 1_000).toFixed(1)} s`;

const directory = await mkdtemp(join(tmpdir(), 'scrip-archive-bench-'));
const simulated = await startSimulatedService(STARTS_AT, undefined, {
  ARCHIVE_DIRECTORY: directory,
});
const sql = new pg.Client(simulated.databaseUrl);
await sql.connect();
try {
  const load = await Load.open(simulated.scrip, Number(values.accounts));
  let since = performance.now();
  for (let month = 0; month < MONTHS; month++)
    await load.run(entries / MONTHS, (part) => {
      const start = monthAt(month);
      simulated.setNow(start + Math.floor((monthAt(month + 1) - start) * part));
    });
  simulated.setNow(monthAt(MONTHS));
  await simulated.service.sweep();
  await simulated.service.countUsage();
  await simulated.service.countMovements();
  print(`written       ${load.written} entries of ${load.accounts} accounts, ${seconds(since)}`);
  await sql.query('vacuum full analyze');
  const before = await sizesOf(sql);

  since = performance.now();
  const calls = load.runMeanwhile();
  let bytes = 0n;
  let archived = 0n;
  const now = () => monthAt(MONTHS);
  const replica = await startOtherReplica({ databaseUrl: simulated.databaseUrl, now } as never);
  const orm = await connectAsArchiver(simulated.databaseUrl, entities);
  await archive({
    em: () => orm.em.fork(),
    directory,
    before: monthAt(MONTHS - 1),
    partMax: Number(values['part-entries']),
    writeCheckpoint: (accountId, command) =>
      replica.lanes.execute(accountId, command, { traceId: '', spanId: '', sampled: false }),
    onPart: (part) => {
      bytes += part.bytes;
      archived += part.entries;
    },
  });
  const served = await calls.stop();
  print(`archived      ${archived} entries, ${seconds(since)}, ${served} meanwhile`);
  print(
    `files         ${Number(bytes / 1_000n) / 1_000} MB, ${(Number(bytes) / Number(archived)).toFixed(1)} bytes an entry`,
  );
  await orm.close();
  await replica.stop();
  await sql.query('vacuum full analyze');
  const after = await sizesOf(sql);
  print(`\nin the database, after VACUUM FULL (MB)${' '.repeat(9)}before     after`);
  for (const [name, size] of before)
    print(
      `  ${name.padEnd(40)}${size.toFixed(1).padStart(12)}${(after.get(name) ?? 0).toFixed(1).padStart(10)}`,
    );
  const { rows } = await sql.query(
    'select sum(length(keys)) / 16 as keys, sum(pg_column_size(r)) as bytes from archived_requests r',
  );
  print(
    `\nrequests kept  ${rows[0].keys}, ${(((after.get('archived_requests') ?? 0) * 1e6) / rows[0].keys).toFixed(1)} bytes each`,
  );

  await readAcross(simulated.scrip, load, print);
  since = performance.now();
  const audited = await verify(simulated.databaseUrl, { archiveDirectory: directory });
  print(
    `verify        ${JSON.stringify(audited, (_, value) => (typeof value === 'bigint' ? Number(value) : value)).slice(0, 300)}, ${seconds(since)}`,
  );
  if (!audited.ok) process.exitCode = 1;
} finally {
  await sql.end();
  await simulated.close();
  await rm(directory, { recursive: true, force: true });
}
