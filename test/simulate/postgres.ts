/** The PostgreSQL of a run. Only replicas fail in it, so nothing waits for the disk. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../../src/embedded-postgres/embedded-postgres.ts';
import { execute } from '../postgres.ts';

export async function startPostgres() {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-simulate-'));
  const postgres = await startEmbeddedPostgres(directory);
  await execute(postgres.url, 'alter system set fsync = off');
  await execute(postgres.url, 'select pg_reload_conf()');
  let stopping: Promise<void> | undefined;
  const stop = async () => {
    await postgres.stop();
    await rm(directory, { recursive: true, force: true });
  };
  return {
    url: postgres.url,
    /** May be called twice. */
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}
