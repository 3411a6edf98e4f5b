/** Processes and sessions that end without warning. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from '../fault.ts';
import { query } from '../postgres-cluster.ts';
import type { Scene } from '../scene.ts';

/** Does something again and again until the time of the fault is over, and waits for the recovery each time. */
async function repeatedly({ seconds }: Scene, once: (round: number) => Promise<void>) {
  const until = performance.now() + 1_000 * seconds;
  for (let round = 0; round === 0 || performance.now() < until; round++) await once(round);
}

export const serviceKilled: Fault = {
  name: 'service-killed',
  inject: (scene) =>
    repeatedly(scene, async (round) => {
      scene.replicas[round % scene.replicas.length]?.signal('SIGKILL');
      await scene.recover();
      await sleep(200);
    }),
};

export const postgresKilled: Fault = {
  name: 'postgres-killed',
  inject: (scene) =>
    repeatedly(scene, async () => {
      await scene.postgres.kill();
      await scene.recover();
      await sleep(1_000);
    }),
};

/** Ends every session that is inside a transaction, and the others of the service as well every fifth time. */
export const backendsTerminated: Fault = {
  name: 'backends-terminated',
  inject: (scene) =>
    repeatedly(scene, async (round) => {
      await query(
        scene.postgres.url,
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()
           and ($1 or xact_start is not null)`,
        [round % 5 === 0],
      );
      await scene.recover();
      await sleep(100);
    }),
};
