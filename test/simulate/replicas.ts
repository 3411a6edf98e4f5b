/**
 * Replicas of the service on one database, in this process. Each is behind two proxies, to its callers and to
 * its database. To stop one abruptly, both are cut: nothing that it does afterwards reaches anyone.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { oneDatabase } from '../../src/cells/installation.ts';
import { connect, type Scrip } from '../../src/client.ts';
import { readConfig } from '../../src/config.ts';
import { toDatabaseFailure } from '../../src/pg/failures.ts';
import { type Service, startService } from '../../src/service.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { sourcesOf } from '../time-sources.ts';

export const CALLER = 'simulation';

/** In whose place a request is made, by its request id "request-<step>…"; empty: in the caller's own. */
export function onBehalfOf(requestId: string): string {
  const step = Number(requestId.split('-')[1]);
  return step % 4 === 0 ? `user:${step % 3}` : '';
}

class Replica {
  readonly scrip: Scrip;
  readonly service: Service;
  readonly #proxies: readonly TcpProxy[];
  #isCut = false;

  private constructor(service: Service, scrip: Scrip, proxies: readonly TcpProxy[]) {
    this.service = service;
    this.scrip = scrip;
    this.#proxies = proxies;
  }

  static async start(
    databaseUrl: string,
    env: Env,
    now: () => number,
    onBug: (line: string) => void,
  ) {
    const database = new TcpProxy(databaseUrl);
    await database.open();
    let replica: Replica | null = null;
    // What is left of a replica that was cut off may log anything.
    const log = logTo((line) => {
      if (replica === null || !replica.#isCut) onBug(line);
    });
    const service = await startService(
      config(env),
      oneDatabase(database.url),
      null,
      log,
      sourcesOf(now),
    ).catch(async (error) => {
      await database.close();
      throw error;
    });
    const callers = new TcpProxy(`http://127.0.0.1:${service.port}`);
    await callers.open();
    const scrip = connect(callers.address, {
      caller: CALLER,
      channel: { 'grpc.use_local_subchannel_pool': 1 },
    });
    replica = new Replica(service, scrip, [database, callers]);
    return replica;
  }

  /** Cuts it off. Resolves when what is left of it has ended. */
  async kill(): Promise<void> {
    this.#isCut = true;
    await Promise.all(this.#proxies.map((proxy) => proxy.close()));
    this.scrip.close();
    await this.service.stop();
  }

  async stop(): Promise<void> {
    this.scrip.close();
    await this.service.stop();
    await Promise.all(this.#proxies.map((proxy) => proxy.close()));
  }
}

export type Env = Readonly<Record<string, string>>;

function config(env: Env) {
  const never = '3600000';
  const read = readConfig({
    ...env,
    HOST: '127.0.0.1',
    PORT: '0',
    ADMIN_PORT: '0',
    SWEEP_INTERVAL_MS: never,
    CLOCK_SAMPLE_INTERVAL_MS: never,
    REFUSALS_INTERVAL_MS: never,
    USAGE_INTERVAL_MS: '100',
    // A busy machine makes no delivery dead.
    EVENTS_WEBHOOK_ATTEMPTS_MAX: '100',
    SHUTDOWN_GRACE_MS: '0',
    DATABASE_POOL_MAX: '4',
    // A busy machine is no overload.
    WAIT_MAX_MS: '600000',
  });
  if ('problems' in read) throw new Error(read.problems.join('; '));
  return read.config;
}

/** Bugs are logged as errors. So is that the database is away: that is no bug here. */
const logTo = (onBug: (line: string) => void) =>
  pino(
    { level: 'error' },
    { write: (line: string) => void (line.includes('"bug"') && onBug(line)) },
  );

export class Replicas {
  readonly #databaseUrl: string;
  readonly #env: Env;
  readonly #running: (Replica | Promise<Replica>)[] = [];
  readonly #ending: Promise<void>[] = [];
  readonly #now: () => number;
  /** What the replicas logged as bugs. */
  readonly bugs: string[] = [];
  kills = 0;

  private constructor(databaseUrl: string, env: Env, now: () => number) {
    this.#databaseUrl = databaseUrl;
    this.#env = env;
    this.#now = now;
  }

  static async start(
    databaseUrl: string,
    count: number,
    env: Env,
    now: () => number,
  ): Promise<Replicas> {
    const replicas = new Replicas(databaseUrl, env, now);
    replicas.#running.push(...(await Promise.all(Array.from({ length: count }, replicas.#start))));
    return replicas;
  }

  /** A start that gets no connection from a busy machine is repeated, as a process is that has ended. */
  readonly #start = async (): Promise<Replica> => {
    for (;;)
      try {
        const onBug = (line: string) => void this.bugs.push(line);
        return await Replica.start(this.#databaseUrl, this.#env, this.#now, onBug);
      } catch (error) {
        if (!toDatabaseFailure(error)) throw error;
        await pause(100);
      }
  };

  get count(): number {
    return this.#running.length;
  }

  /** A replica; waits while it restarts. */
  async at(index: number): Promise<Replica> {
    return (await this.#running[index % this.#running.length]) as Replica;
  }

  /** Stops one abruptly, and starts another in its place. */
  async kill(index: number): Promise<void> {
    const slot = index % this.#running.length;
    const replica = await this.at(slot);
    if (this.#running[slot] !== replica) return;
    this.kills += 1;
    const next = this.#start();
    this.#running[slot] = next;
    this.#ending.push(replica.kill());
    this.#running[slot] = await next;
  }

  /** Stops all. */
  async stop(): Promise<void> {
    for (const index of this.#running.keys()) await (await this.at(index)).stop();
    await Promise.all(this.#ending);
  }
}

export const pause = (ms: number) => sleep(ms);
