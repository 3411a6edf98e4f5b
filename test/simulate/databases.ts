/** Databases for traces: clones of one that is migrated and has the plans. */
import { randomUUID } from 'node:crypto';
import { migrate } from '../../src/pg/migrate.ts';
import { publishAt } from '../../src/plan-publication.ts';
import { execute } from '../postgres.ts';
import { planFiles } from './plans.ts';

export class Databases {
  readonly #postgresUrl: string;
  readonly #template: string;
  #creating: Promise<unknown> = Promise.resolve();

  private constructor(postgresUrl: string, template: string) {
    this.#postgresUrl = postgresUrl;
    this.#template = template;
  }

  /** Makes the database that all others are cloned from. `at` is when the plans are published. */
  static async prepare(postgresUrl: string, at: number): Promise<Databases> {
    const template = `simulate_${randomUUID().replaceAll('-', '')}`;
    const databases = new Databases(postgresUrl, template);
    await execute(postgresUrl, `create database ${template}`);
    const url = databases.#url(template);
    await migrate(url);
    await publishAt(url, planFiles(), at);
    return databases;
  }

  #url(name: string): string {
    const url = new URL(this.#postgresUrl);
    url.pathname = `/${name}`;
    return url.href;
  }

  /** PostgreSQL clones a database for one session at a time. */
  async create(): Promise<string> {
    const created = this.#creating.then(() => this.#create());
    this.#creating = created.catch(() => {});
    return await created;
  }

  async #create(): Promise<string> {
    const name = `simulated_${randomUUID().replaceAll('-', '')}`;
    await execute(this.#postgresUrl, `create database ${name} template ${this.#template}`);
    return this.#url(name);
  }

  async drop(url: string): Promise<void> {
    const name = new URL(url).pathname.slice(1);
    await execute(this.#postgresUrl, `drop database ${name} with (force)`);
  }

  /** Removes the one that all are cloned from. */
  async close(): Promise<void> {
    await this.drop(this.#url(this.#template));
  }
}
