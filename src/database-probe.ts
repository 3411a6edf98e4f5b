/**
 * Asks the database regularly whether it answers, on a connection of its own: a pool that is busy says nothing
 * of the database.
 */
import pg from 'pg';
import type { Logger } from 'pino';
import { Poller } from './poller.ts';

/** How long an answer may take. */
const ANSWER_MS = 5_000;
/** Failures in a row after which the database counts as unreachable. */
const FAILURES_MAX = 3;

export type DatabaseProbeOptions = {
  /** Where the database is. It can move: then the probe follows. */
  readonly databaseUrl: () => string;
  /** What is asked. */
  readonly ask: (client: pg.Client) => Promise<unknown>;
  /** Called after every failure. */
  readonly onFailure: () => Promise<void>;
  readonly intervalMs: number;
  readonly log: Logger;
  /** Called at every change. At first the database counts as reachable. */
  readonly onChange: (isReachable: boolean) => void;
};

export class DatabaseProbe {
  readonly #options: DatabaseProbeOptions;
  readonly #poller: Poller;
  /** Null before the first answer and after a failure. */
  #client: pg.Client | null = null;
  /** Where it is connected to. */
  #url = '';
  #failures = 0;

  constructor(options: DatabaseProbeOptions) {
    this.#options = options;
    const { intervalMs, log } = options;
    const run = async () => {
      await this.probe();
      return false;
    };
    this.#poller = new Poller({ name: 'probe of the database', run, intervalMs, log });
  }

  /** Asks once, without waiting for the interval. */
  async probe(): Promise<void> {
    const error = await this.#ask();
    const before = this.#failures;
    this.#failures = error ? before + 1 : 0;
    const { log, onChange } = this.#options;
    if (this.#failures === FAILURES_MAX) {
      log.error({ err: error }, 'the database does not answer: not ready');
      onChange(false);
    } else if (!error && before >= FAILURES_MAX) {
      log.info('the database answers again: ready');
      onChange(true);
    }
  }

  /** Does not wait for an answer: the database may be gone. */
  async stop(): Promise<void> {
    await this.#poller.stop(0);
    this.#client?.connection.stream.destroy();
  }

  /** What it failed with; null if it answers in time. */
  async #ask(): Promise<unknown> {
    try {
      if (this.#url !== this.#options.databaseUrl()) this.#disconnect();
      this.#client ??= await this.#connect();
      await this.#options.ask(this.#client);
      return null;
    } catch (error) {
      // The connection may be lost: the next probe makes another.
      this.#disconnect();
      await this.#options.onFailure();
      return error;
    }
  }

  #disconnect() {
    this.#client?.connection.stream.destroy();
    this.#client = null;
  }

  async #connect(): Promise<pg.Client> {
    this.#url = this.#options.databaseUrl();
    const client = new pg.Client({
      connectionString: this.#url,
      application_name: 'scrip probe',
      connectionTimeoutMillis: ANSWER_MS,
      query_timeout: ANSWER_MS,
    });
    // The next query fails where the connection was lost.
    client.on('error', () => {});
    await client.connect();
    return client;
  }
}
