/**
 * Keeps the objects of the test payment provider in the sandbox's database. A replica has them in memory and reads
 * what others have changed since; whoever changes some does so alone.
 */
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import { type PaymentObject, PaymentObjects } from './payment-objects.ts';
import { webhookBody } from './webhook.ts';

/** The key of an advisory lock; nothing else uses this number. */
const PAYMENTS_LOCK = 5_347_264;

export class PaymentStore {
  readonly #em: () => Em;
  readonly #time: () => number;
  #objects: PaymentObjects;
  /** Of the newest change that was read. */
  #version = 0n;
  #last: Promise<unknown> = Promise.resolve();

  /** `now`: the sandbox's time, in epoch milliseconds. */
  constructor(em: () => Em, now: () => number) {
    this.#em = em;
    this.#time = now;
    this.#objects = new PaymentObjects(now);
  }

  /** Calls `use` with the objects as they are now. What it changes is stored, with the webhooks that tell of it. */
  change<Result>(use: (objects: PaymentObjects) => Result): Promise<Result> {
    const result = this.#last.then(() => this.#change(use));
    this.#last = result.catch(() => {});
    return result;
  }

  async #change<Result>(use: (objects: PaymentObjects) => Result): Promise<Result> {
    try {
      return await this.#em().transactional(async (em) => {
        await query(em, 'select pg_advisory_xact_lock($1)', [PAYMENTS_LOCK]);
        await this.#refresh(em);
        const objects = this.#objects;
        objects.expireDue();
        const result = use(objects);
        await this.#save(em, objects.takeChanges());
        return result;
      });
    } catch (error) {
      // What is in memory may not have been stored.
      this.#objects = new PaymentObjects(this.#time);
      this.#version = 0n;
      throw error;
    }
  }

  async #refresh(em: Em) {
    const rows = await query<{ version: string; body: PaymentObject | string }>(
      em,
      'select version, body from sandbox.payment_objects where version > $1::bigint order by version',
      [this.#version.toString()],
    );
    for (const { version, body } of rows) {
      this.#objects.load(typeof body === 'string' ? JSON.parse(body) : body);
      this.#version = BigInt(version);
    }
  }

  async #save(em: Em, { changed, occurred }: ReturnType<PaymentObjects['takeChanges']>) {
    if (changed.length === 0) return;
    this.#version += 1n;
    const bodies = changed.map((object) => JSON.stringify(object));
    await query(
      em,
      `insert into sandbox.payment_objects (id, version, body)
       select body ->> 'id', $1::bigint, body from unnest($2::text[]) as each (text), lateral (select text::jsonb as body) as parsed
       on conflict (id) do update set version = excluded.version, body = excluded.body`,
      [this.#version.toString(), bodies],
    );
    const now = this.#time();
    const webhooks = occurred.map(({ type, object }) => webhookBody(type, object, now));
    await query(
      em,
      `insert into sandbox.payment_webhooks (body) select text from unnest($1::text[]) as each (text)`,
      [webhooks],
    );
  }
}
