/** What a fault happens to: replicas under load on a PostgreSQL cluster of their own, behind a proxy. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate } from '../../src/pg/migrate.ts';
import { publishAt } from '../../src/plan-publication.ts';
import { plansOfDeploy } from '../service.ts';
import { FaultProxy } from './fault-proxy.ts';
import type { Sent } from './journal.ts';
import { Load } from './load.ts';
import { PostgresCluster, query, type Settings } from './postgres-cluster.ts';
import { ReplicaSlot } from './replica-slot.ts';

export type SceneOptions = {
  readonly seed: number;
  /** How long the fault lasts. */
  readonly seconds: number;
  readonly replicas?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Modules that each replica imports first. */
  readonly imports?: readonly string[];
  readonly settings?: Settings;
  /** Prepares the directory of the cluster; resolves with what undoes it. */
  readonly prepare?: (directory: string) => Promise<() => Promise<void>>;
};

/** What may be lost: the newest acknowledged writes of each account, and none of those before a moment. */
export type Loss = {
  /** In a few words, for the table. */
  readonly of: string;
  /** Acknowledged before that moment. */
  readonly kept: ReadonlySet<Sent>;
  /** Acknowledged before the other database served. */
  readonly before: ReadonlySet<Sent>;
};

export type Scene = {
  /** A directory for whatever the fault needs; removed in the end. */
  readonly directory: string;
  readonly seconds: number;
  readonly proxy: FaultProxy;
  readonly replicas: readonly ReplicaSlot[];
  readonly load: Load;
  /** The cluster that serves at present: a fault may put another in its place. */
  postgres: PostgresCluster;
  /** Measures how long the recovery takes from now on, and keeps the longest. */
  readonly recover: () => Promise<void>;
  readonly recoveries: number[];
  /** Set by a fault that loses acknowledged writes. */
  loss: Loss | null;
  /** Undone in the end, last first. */
  readonly stops: (() => Promise<unknown>)[];
};

export async function openScene(options: SceneOptions): Promise<Scene> {
  const stops: Scene['stops'] = [];
  open.add(stops);
  try {
    return await build(options, stops);
  } catch (error) {
    await closeAll(stops);
    throw error;
  }
}

export const closeScene = ({ stops }: Scene): Promise<void> => closeAll(stops);

/** What is still to be undone. */
const open = new Set<Scene['stops']>();

/** Undoes everything, after an interrupt. */
export async function closeOpenScenes() {
  for (const stops of open) await closeAll(stops);
}

async function closeAll(stops: Scene['stops']) {
  for (let stop = stops.pop(); stop; stop = stops.pop()) await stop().catch(() => {});
  open.delete(stops);
}

async function build(options: SceneOptions, stops: Scene['stops']): Promise<Scene> {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-faults-'));
  stops.push(() => rm(directory, { recursive: true, force: true }));
  const primary = join(directory, 'primary');
  await mkdir(primary);
  if (options.prepare) stops.push(await options.prepare(primary));
  const postgres = await PostgresCluster.create(primary, options.settings);
  stops.push(() => postgres.destroy());
  await postgres.start();
  await query(postgres.maintenanceUrl, 'create database scrip');
  await migrate(postgres.url);
  await publishAt(postgres.url, await plansOfDeploy(), Date.now());

  const proxy = new FaultProxy(postgres.url);
  await proxy.open();
  stops.push(() => proxy.close());
  const env = { DATABASE_URL: proxy.url, CLOCK_SETTLE_MS: '1000', ...options.env };
  const replicas: ReplicaSlot[] = [];
  for (let count = 0; count < (options.replicas ?? 2); count++) {
    const slot = await ReplicaSlot.start(env, options.imports);
    stops.push(() => slot.stop());
    replicas.push(slot);
  }
  const load = new Load(
    replicas.map(({ port }) => port),
    options.seed,
  );
  stops.push(async () => load.close());
  const recoveries: number[] = [];
  const recover = async () => void recoveries.push(await load.recovery());
  const { seconds } = options;
  return {
    directory,
    seconds,
    proxy,
    replicas,
    load,
    postgres,
    recover,
    recoveries,
    loss: null,
    stops,
  };
}
