/** Everything the cases are measured on: one PostgreSQL, the service, the baselines, one client. */
import { verify } from '../../src/verify/verify.ts';
import { type Database, query, startDatabase } from './database.ts';
import { installHandTuned } from './hand-tuned.ts';
import { accounts, openAccounts, writeHistory } from './ledger.ts';
import { type LoadClient, startLoadClient } from './load-client.ts';
import { accountId } from './load-spec.ts';
import type { Measuring } from './measure.ts';
import { type BenchServer, startEcho, startService, startTextbook } from './servers.ts';

export class Stage {
  readonly database: Database;
  readonly client: LoadClient;
  readonly #servers = new Set<BenchServer>();
  readonly #cloned = new Map<string, Promise<string>>();
  #service: Promise<BenchServer> | null = null;
  #echo: Promise<BenchServer> | null = null;
  #textbook: { readonly pool: number; readonly server: BenchServer } | null = null;

  constructor(database: Database, client: LoadClient) {
    this.database = database;
    this.client = client;
  }

  /** The service on its own database, started when it is first asked for. */
  service(): Promise<BenchServer> {
    this.#service ??= this.serviceOn('service');
    return this.#service;
  }

  /** A service process on the database of this name: the first one, or one more. */
  async serviceOn(database: string): Promise<BenchServer> {
    return this.#keep(await startService(await this.databaseOf(database)));
  }

  echo(): Promise<BenchServer> {
    this.#echo ??= startEcho().then((server) => this.#keep(server));
    return this.#echo;
  }

  /** The textbook server with so many connections. */
  async textbook(pool: number): Promise<BenchServer> {
    if (this.#textbook?.pool !== pool) {
      if (this.#textbook) await this.stop(this.#textbook.server);
      const server = await startTextbook(await this.databaseOf('textbook'), pool);
      this.#textbook = { pool, server: this.#keep(server) };
    }
    return this.#textbook.server;
  }

  /** URL of the database of this name: a copy of the ledger that every case starts from. */
  databaseOf(name: string): Promise<string> {
    let url = this.#cloned.get(name);
    if (!url) {
      url = this.#clone(name);
      this.#cloned.set(name, url);
    }
    return url;
  }

  measuring(...servers: BenchServer[]): Measuring {
    return { client: this.client, servers, postgres: this.database.pid };
  }

  async stop(server: BenchServer) {
    this.#servers.delete(server);
    await server.stop();
  }

  /** Closes the books of a database the service worked on. */
  async verified(name: string): Promise<string> {
    const verdict = await verify(await this.databaseOf(name));
    if (verdict.ok) return `${name}: ok, ${verdict.entries.toLocaleString('en')} entries`;
    const [first] = verdict.disagreements;
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

  #keep(server: BenchServer): BenchServer {
    this.#servers.add(server);
    return server;
  }
}

/** Starts PostgreSQL, and makes the ledger through the service itself. */
export async function setStage(historyEntries: number): Promise<Stage> {
  const database = await startDatabase();
  try {
    const service = await startService(database.template);
    try {
      await openAccounts(service.address, Object.values(accounts));
      await writeHistory(service.address, accountId(accounts.historic, 0), historyEntries);
    } finally {
      await service.stop();
    }
    // What autovacuum would do in a while, at no moment of its own choosing.
    await query(database.template, 'vacuum analyze');
    return new Stage(database, startLoadClient());
  } catch (error) {
    await database.stop();
    throw error;
  }
}
