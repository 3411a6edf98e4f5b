/** What the cases run on: one PostgreSQL, the service, the baselines, one load generator. */
import { readPlanFiles } from '../../src/plan-files.ts';
import { publishAt } from '../../src/plan-publication.ts';
import type { PlanFile } from '../../src/pricing/plan.ts';
import { verify } from '../../src/verify/verify.ts';
import { type Database, query, type Settings, startDatabase } from './database.ts';
import { installHandTuned } from './hand-tuned.ts';
import { accounts, openAccounts, writeHistory } from './ledger.ts';
import { type LoadClient, startLoadClient } from './load-client.ts';
import { accountId } from './load-spec.ts';
import type { MeasuredProcesses } from './measure.ts';
import {
  type BenchServer,
  type Environment,
  startEcho,
  startService,
  startTextbook,
} from './servers.ts';

export class Testbed {
  readonly database: Database;
  readonly client: LoadClient;
  readonly #servers = new Set<BenchServer>();
  readonly #databases = new Map<string, Promise<string>>();
  #service: Promise<BenchServer> | null = null;
  #echo: Promise<BenchServer> | null = null;
  #textbook: { readonly pool: number; readonly server: BenchServer } | null = null;

  constructor(database: Database, client: LoadClient) {
    this.database = database;
    this.client = client;
  }

  /** The service on the database `service`; started at the first call. */
  service(): Promise<BenchServer> {
    this.#service ??= this.startServiceOn('service');
    return this.#service;
  }

  /** Starts another service process on the database of this name. */
  async startServiceOn(database: string, env: Environment = {}): Promise<BenchServer> {
    return this.#stopAtEnd(await startService(await this.databaseOf(database), { env }));
  }

  echo(): Promise<BenchServer> {
    this.#echo ??= startEcho().then((server) => this.#stopAtEnd(server));
    return this.#echo;
  }

  /** The textbook server with a pool of this size. */
  async textbook(pool: number): Promise<BenchServer> {
    if (this.#textbook?.pool !== pool) {
      if (this.#textbook) await this.stop(this.#textbook.server);
      const server = await startTextbook(await this.databaseOf('textbook'), pool);
      this.#textbook = { pool, server: this.#stopAtEnd(server) };
    }
    return this.#textbook.server;
  }

  /** URL of the database of this name; at the first call it is cloned from the prepared ledger. */
  databaseOf(name: string): Promise<string> {
    let url = this.#databases.get(name);
    if (!url) {
      url = this.#clone(name);
      this.#databases.set(name, url);
    }
    return url;
  }

  processes(...servers: BenchServer[]): MeasuredProcesses {
    return { client: this.client, servers, postgres: this.database.pid };
  }

  async stop(server: BenchServer) {
    this.#servers.delete(server);
    await server.stop();
  }

  /** Runs `verify` on a database that the service used. Throws at a discrepancy. */
  async verify(name: string): Promise<string> {
    const result = await verify(await this.databaseOf(name));
    if (result.ok) return `${name}: ok, ${result.entries.toLocaleString('en')} entries`;
    const [first] = result.discrepancies;
    throw new Error(`verify: ${name}: account ${first?.accountId}: ${first?.what}`);
  }

  async close() {
    this.client.stop();
    await Promise.all([...this.#servers].map((server) => server.stop()));
    await this.database.stop();
  }

  async #clone(name: string): Promise<string> {
    const url = await this.database.clone(`bench_${name}`);
    if (name === 'hand_tuned') await installHandTuned(url);
    return url;
  }

  #stopAtEnd(server: BenchServer): BenchServer {
    this.#servers.add(server);
    return server;
  }
}

export async function deployedPlans(): Promise<readonly PlanFile[]> {
  const files = await readPlanFiles(new URL('../../deploy/plans', import.meta.url).pathname);
  if ('errors' in files) throw new Error(JSON.stringify(files.errors));
  return files.plans;
}

/** Starts PostgreSQL, publishes the plans, and opens the accounts through the service. */
export async function startTestbed(
  historyEntries: number,
  settings: Settings = {},
): Promise<Testbed> {
  const database = await startDatabase(settings);
  try {
    await publishAt(database.template, await deployedPlans(), Date.now());
    const service = await startService(database.template);
    try {
      await openAccounts(service.address, Object.values(accounts));
      await writeHistory(service.address, accountId(accounts.historic, 0), historyEntries);
    } finally {
      await service.stop();
    }
    // Autovacuum would do this at a moment of its own choosing.
    await query(database.template, 'vacuum analyze');
    return new Testbed(database, startLoadClient());
  } catch (error) {
    await database.stop();
    throw error;
  }
}
