/** Replicas that stand still, that are replaced, and whose clock is set. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from '../fault.ts';
import { query } from '../postgres-cluster.ts';
import type { ReplicaSlot } from '../replica-slot.ts';
import type { Scene } from '../scene.ts';

/** A replica stands still three times as long as other faults last: a minute by default. */
const STOPPED_TIMES = 3;

/** Attempts to stop a replica inside a transaction. */
const ATTEMPTS_MAX = 200;
const IDLE_INSIDE = `select 1 from pg_stat_activity
  where datname = current_database() and state = 'idle in transaction'
    and state_change < clock_timestamp() - interval '250 ms'`;

/** Stops a replica while it holds the locks of a unit of work: the worst moment. */
async function stopInsideTransaction({ postgres }: Scene, replica: ReplicaSlot) {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    replica.signal('SIGSTOP');
    await sleep(300);
    if ((await query(postgres.url, IDLE_INSIDE)).length > 0) return;
    replica.signal('SIGCONT');
    await sleep(10);
  }
  throw new Error('the replica was never stopped inside a transaction');
}

export const replicaStopped: Fault = {
  name: 'replica-stopped',
  async inject(scene) {
    const [stopped] = scene.replicas as [ReplicaSlot];
    await stopInsideTransaction(scene, stopped);
    await sleep(STOPPED_TIMES * 1_000 * scene.seconds);
    stopped.signal('SIGCONT');
  },
};

/** SIGTERM under load. The next process starts while the old one drains; every other one is killed meanwhile. */
export const restartDuringDrain: Fault = {
  name: 'restart-during-drain',
  options: { env: { SHUTDOWN_GRACE_MS: '3000' } },
  async inject({ replicas, seconds, recover }) {
    const until = performance.now() + 1_000 * seconds;
    for (let round = 0; round === 0 || performance.now() < until; round++) {
      const slot = replicas[round % replicas.length];
      if (round % 2 === 0) await slot?.replace();
      else {
        slot?.signal('SIGTERM');
        await sleep(20);
        slot?.signal('SIGKILL');
      }
      await recover();
    }
  },
};

const HOUR_MS = 3_600_000;
/** Less than a day: more than that needs the acceptance of an operator. More than credits of the load last. */
const JUMP_MS = 20 * HOUR_MS;

/** SIGUSR2 sets the wall clock of the process, and sets it right again. */
const settableClock = `data:text/javascript,
  const now = Date.now;
  let ahead = 0;
  Date.now = () => now() + ahead;
  process.on('SIGUSR2', () => { ahead = ahead === 0 ? ${JUMP_MS} : 0; });`;

/** The wall clock of one host, then of all, is set ahead and set right. */
export const clockJumps: Fault = {
  name: 'clock-jumps',
  options: { imports: [settableClock.replaceAll('\n', ' ')] },
  async inject({ replicas, seconds, recover, postgres }) {
    for (const jumping of [replicas.slice(0, 1), replicas]) {
      for (const slot of jumping) slot.signal('SIGUSR2');
      await sleep(500 * seconds);
      for (const { log } of jumping)
        if (!log.includes('the clocks disagree')) throw new Error('no replica noticed the jump');
      for (const slot of jumping) slot.signal('SIGUSR2');
      await recover();
    }
    for (const slot of replicas)
      while (!slot.log.includes('the clocks agree again')) await sleep(20);
    const expired = await query(
      postgres.url,
      `select 1 from history where kind in ('EXPIRE', 'GRANT_EXPIRED')`,
    );
    if (expired.length > 0) throw new Error(`the jump expired ${expired.length} times`);
  },
};
