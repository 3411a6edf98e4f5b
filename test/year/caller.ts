/**
 * The product services: they send the requests of their customers in batches and write the usage log.
 * Sometimes a batch is sent twice, as if its response had been lost.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Scrip } from '../../src/client.ts';
import type { MutationResult } from '../../src/gen/billing/v1/billing_service.ts';
import {
  type LogEntry,
  type LoggedRequest,
  type LoggedResponse,
  type MutationRequest,
  toMutation,
  toResponse,
} from './usage-log.ts';

export type CustomerRequest = {
  readonly accountId: string;
  readonly request: LoggedRequest;
  readonly onResponse: (response: LoggedResponse) => void;
};

type Result = MutationResult['result'];

const BATCH_MAX = 500;
/** The share of batches that are sent twice: one in this many. */
const REPEAT_EVERY = 25;

export class Caller {
  readonly log: LogEntry[] = [];
  /** Batches that were sent, and batches that were sent twice. */
  batches = 0;
  repeats = 0;
  readonly #scrip: Scrip;

  constructor(scrip: Scrip) {
    this.#scrip = scrip;
  }

  /** Sends the requests in order. `at` is the time by the service's clock. */
  async send(at: number, requests: readonly CustomerRequest[]): Promise<void> {
    for (let first = 0; first < requests.length; first += BATCH_MAX)
      await this.#sendBatch(at, requests.slice(first, first + BATCH_MAX));
  }

  async #sendBatch(at: number, requests: readonly CustomerRequest[]) {
    const mutations = requests.map(({ accountId, request }, index) => ({
      mutation: toMutation(accountId, `year-${this.log.length + index}`, request),
    }));
    const { results } = await this.#scrip.billing.batch({ mutations });
    this.batches += 1;
    if (this.batches % REPEAT_EVERY === 0) await this.#repeat(mutations, results);
    for (const [index, { accountId, request, onResponse }] of requests.entries()) {
      const response = toResponse(results[index]?.result);
      this.log.push({ at, accountId, request, response });
      onResponse(response);
    }
  }

  /** Sends the successful requests again. Each must get the response it got before. */
  async #repeat(
    mutations: readonly { readonly mutation: MutationRequest }[],
    before: readonly MutationResult[],
  ) {
    const succeeded = before.map(({ result }) => result?.$case !== 'error');
    const again = mutations.filter((_, index) => succeeded[index]);
    if (again.length === 0) return;
    const { results } = await this.#scrip.billing.batch({ mutations: again });
    const expected = before.filter((_, index) => succeeded[index]);
    const differs = results.findIndex(
      ({ result }, index) => !isReplayOf(result, expected[index]?.result),
    );
    const { value } = again[differs]?.mutation ?? {};
    if (value) throw new Error(`${value.accountId}: ${value.requestId} got another response`);
    this.repeats += 1;
  }
}

/** Whether it is the first response again, marked as a replay. */
function isReplayOf(again: Result, first: Result): boolean {
  if (!again || again.$case === 'error' || !again.value.replay) return false;
  return isDeepStrictEqual({ ...again, value: { ...again.value, replay: undefined } }, first);
}
