/** Another database takes the place of the primary: a standby that is promoted, or a backup that is restored. */
import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TcpProxy } from '../../tcp-proxy.ts';
import type { Fault } from '../fault.ts';
import { baseBackup, PostgresCluster, query } from '../postgres-cluster.ts';
import type { Scene } from '../scene.ts';

const REPLICATION = { wal_keep_size: '1GB' };
const NAME = 'standby';

/** A standby of the cluster, which follows it through `link`. */
async function startStandby(scene: Scene, link: TcpProxy): Promise<PostgresCluster> {
  const directory = join(scene.directory, NAME);
  await baseBackup(scene.postgres, directory);
  const { port, username, password } = new URL(link.url);
  const standby = await PostgresCluster.of(directory, {
    ...REPLICATION,
    primary_conninfo: `host=127.0.0.1 port=${port} user=${username} password=${password} application_name=${NAME}`,
  });
  await writeFile(join(standby.data, 'standby.signal'), '');
  scene.stops.push(() => standby.destroy());
  await standby.start();
  return standby;
}

async function openLink(scene: Scene): Promise<TcpProxy> {
  const link = new TcpProxy(scene.postgres.url);
  await link.open();
  scene.stops.push(() => link.close());
  return link;
}

/** Resolves when the standby has everything that was committed before the call. */
async function caughtUp({ postgres }: Scene) {
  const [now] = await query<{ lsn: string }>(
    postgres.url,
    'select pg_current_wal_flush_lsn() as lsn',
  );
  const sql = 'select 1 from pg_stat_replication where flush_lsn >= $1::pg_lsn';
  while ((await query(postgres.url, sql, [now?.lsn])).length === 0) await sleep(20);
}

/** The primary ends for good; the standby serves. */
async function failOver(scene: Scene, standby: PostgresCluster) {
  await scene.postgres.destroy();
  await query(standby.maintenanceUrl, 'select pg_promote()');
  serveFrom(scene, standby);
}

function serveFrom(scene: Scene, postgres: PostgresCluster) {
  scene.postgres = postgres;
  scene.proxy.turnTo(postgres.url);
}

/** Everything that was acknowledged is on the standby, also when the primary ends at once. */
export const synchronousStandby: Fault = {
  name: 'synchronous-standby',
  options: { settings: REPLICATION },
  async inject(scene) {
    const link = await openLink(scene);
    const standby = await startStandby(scene, link);
    await query(scene.postgres.url, `alter system set synchronous_standby_names = '${NAME}'`);
    await query(scene.postgres.url, 'select pg_reload_conf()');
    const sql = `select 1 from pg_stat_replication where sync_state = 'sync'`;
    while ((await query(scene.postgres.url, sql)).length === 0) await sleep(20);
    // Calls that were acknowledged before did not wait for the standby.
    await caughtUp(scene);
    await sleep(500 * scene.seconds);
    await failOver(scene, standby);
    await scene.recover();
    await sleep(500 * scene.seconds);
  },
};

/** How long the standby gets nothing before the primary ends. */
const LAG_MS = 1_000;

export const asynchronousStandby: Fault = {
  name: 'asynchronous-standby',
  options: { settings: REPLICATION },
  async inject(scene) {
    const { journal } = scene.load;
    const link = await openLink(scene);
    const standby = await startStandby(scene, link);
    await sleep(500 * scene.seconds);
    const kept = new Set(journal.acknowledged);
    await caughtUp(scene);
    link.stall();
    await sleep(LAG_MS);
    await scene.postgres.destroy();
    // Answers that are on their way arrive.
    await sleep(100);
    // Of reservations that are lost.
    journal.mayBeRefused.add('RESERVATION_NOT_FOUND');
    scene.loss = {
      of: 'acknowledged while replication lagged',
      kept,
      before: new Set(journal.acknowledged),
    };
    await failOver(scene, standby);
    await scene.recover();
    await sleep(500 * scene.seconds);
  },
};

const RESTORE_POINT = 'before_the_disaster';

/** The database is restored to a moment in the past, from a base backup and archived WAL. */
export const pointInTimeRestore: Fault = {
  name: 'point-in-time-restore',
  options: {
    async prepare(primary) {
      const archive = join(primary, '..', 'archive');
      await mkdir(archive);
      execFileSync('chmod', ['777', archive]);
      return async () => {};
    },
    settings: {
      archive_mode: 'on',
      // %p is relative to the data directory, which is in primary/postgres.
      archive_command: 'cp %p ../../archive/%f',
    },
  },
  async inject(scene) {
    const { journal } = scene.load;
    const directory = join(scene.directory, 'restored');
    await baseBackup(scene.postgres, directory);
    await sleep(500 * scene.seconds);
    const kept = new Set(journal.acknowledged);
    await query(scene.postgres.url, `select pg_create_restore_point('${RESTORE_POINT}')`);
    await sleep(LAG_MS);
    scene.proxy.cut();
    const [segment] = await query<{ name: string }>(
      scene.postgres.url,
      'select pg_walfile_name(pg_switch_wal()) as name',
    );
    const archived = 'select 1 from pg_stat_archiver where last_archived_wal >= $1';
    while ((await query(scene.postgres.url, archived, [segment?.name])).length === 0)
      await sleep(50);
    await scene.postgres.destroy();
    await sleep(100);
    // Of reservations that are lost.
    journal.mayBeRefused.add('RESERVATION_NOT_FOUND');
    scene.loss = {
      of: 'acknowledged after the moment that was restored',
      kept,
      before: new Set(journal.acknowledged),
    };
    const restored = await PostgresCluster.of(directory, {
      restore_command: 'cp ../../archive/%f %p',
      recovery_target_name: RESTORE_POINT,
      recovery_target_action: 'promote',
    });
    await writeFile(join(restored.data, 'recovery.signal'), '');
    scene.stops.push(() => restored.destroy());
    await restored.start();
    const recovering = 'select 1 where pg_is_in_recovery()';
    while ((await query(restored.maintenanceUrl, recovering)).length > 0) await sleep(50);
    serveFrom(scene, restored);
    await scene.recover();
    await sleep(500 * scene.seconds);
  },
};
