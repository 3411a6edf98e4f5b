/**
 * The product services: what their customers want at one moment goes out in batches, and is logged as
 * it was asked and answered. Now and then an answer gets lost, and a batch is sent a second time.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Scrip } from '../../src/client.ts';
import type { MutationResult } from '../../src/gen/billing/v1/billing_service.ts';
import {
  type Answer,
  answerOf,
  type Logged,
  type Request,
  requestOf,
  type UsagesOrCredits,
} from './log.ts';

export type Wish = {
  readonly accountId: string;
  readonly asked: UsagesOrCredits;
  readonly heard: (answer: Answer) => void;
};

const BATCH_MAX = 500;
/** Every so many batches one is sent twice. */
const REPEATED = 25;

export class Caller {
  readonly log: Logged[] = [];
  /** Batches sent, and those sent twice. */
  batches = 0;
  repeats = 0;
  readonly #scrip: Scrip;

  constructor(scrip: Scrip) {
    this.#scrip = scrip;
  }

  /** Asks for all of it at the moment `at`, in its order. */
  async ask(at: number, wishes: readonly Wish[]): Promise<void> {
    for (let first = 0; first < wishes.length; first += BATCH_MAX)
      await this.#send(at, wishes.slice(first, first + BATCH_MAX));
  }

  async #send(at: number, wishes: readonly Wish[]) {
    const mutations = wishes.map(({ accountId, asked }, index) => ({
      mutation: requestOf(accountId, `year-${this.log.length + index}`, asked),
    }));
    const { results } = await this.#scrip.billing.batch({ mutations });
    this.batches += 1;
    if (this.batches % REPEATED === 0) await this.#repeat(mutations, results);
    for (const [index, { accountId, asked, heard }] of wishes.entries()) {
      const answer = answerOf(results[index]?.result);
      this.log.push({ at, accountId, asked, answer });
      heard(answer);
    }
  }

  /** What was done is not done again, and answered as before. Refusals are not remembered. */
  async #repeat(
    mutations: readonly { readonly mutation: Request }[],
    before: readonly MutationResult[],
  ) {
    const done = before.map(({ result }) => result?.$case !== 'error');
    const again = mutations.filter((_, index) => done[index]);
    if (again.length === 0) return;
    const { results } = await this.#scrip.billing.batch({ mutations: again });
    const same = before.filter((_, index) => done[index]);
    const differs = results.findIndex(
      ({ result, replayed }, index) => !replayed || !isDeepStrictEqual(result, same[index]?.result),
    );
    const { value } = again[differs]?.mutation ?? {};
    if (value)
      throw new Error(`${value.accountId}: ${value.requestId} was answered otherwise again`);
    this.repeats += 1;
  }
}
