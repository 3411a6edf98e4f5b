/** Work on accounts that goes on while they are moved, and that knows what it must find. */
import { type Scrip, ScripError } from '../../src/client.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { requestId } from '../service.ts';

/** Repeats a call with the same request id while the service says that a retry is safe. */
export async function retried<Result>(call: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof ScripError) || error.code !== UNAVAILABLE) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 50));
    }
  }
}

const UNAVAILABLE = 14;

/** The first level of `verts` is 500 credits: each round writes events. */
const GRANTED = 520n;

export class Worker {
  readonly accountId: string;
  readonly #replicas: readonly Scrip[];
  /** What the account must have. */
  available = 0n;
  /** The charges, with the entries that they made. */
  readonly charges: { readonly requestId: string; readonly seq: bigint }[] = [];
  #stopped = false;

  constructor(accountId: string, replicas: readonly Scrip[]) {
    this.accountId = accountId;
    this.#replicas = replicas;
  }

  get #any(): Scrip {
    return this.#replicas[Math.floor(Math.random() * this.#replicas.length)] as Scrip;
  }

  async open(): Promise<void> {
    const { accountId } = this;
    const opening = { accountId, requestId: requestId(), planId: 'verts' };
    await retried(() => this.#any.accounts.openAccount(opening));
    await this.#grant(GRANTED);
  }

  async #grant(credits: bigint): Promise<void> {
    const { accountId } = this;
    const request = { accountId, requestId: requestId(), credits, reason: 'a test' };
    await retried(() =>
      this.#any.accounts.grantCredits({ ...request, category: Grant_Category.PAID }),
    );
    this.available += credits;
  }

  stop() {
    this.#stopped = true;
  }

  /** One call after the other, on any replica, until it is stopped. Throws where one finds what it must not. */
  async run(rounds = Number.POSITIVE_INFINITY): Promise<void> {
    for (let round = 0; round < rounds && !this.#stopped; round++) {
      if (round % 40 === 39) await this.#grant(100n);
      else if (round % 3 === 0) await this.#reserveAndCommit();
      else await this.#charge();
      await this.assertBalance();
    }
  }

  async #charge(): Promise<void> {
    const request = { accountId: this.accountId, requestId: requestId(), credits: 2n };
    const { entrySeq } = await retried(() => this.#any.billing.charge(request));
    this.available -= 2n;
    this.charges.push({ requestId: request.requestId, seq: entrySeq });
  }

  async #reserveAndCommit(): Promise<void> {
    const { accountId } = this;
    const reserving = { accountId, requestId: requestId(), credits: 5n };
    const { reservation } = await retried(() => this.#any.billing.reserve(reserving));
    const reservationId = reservation?.reservationId ?? '';
    const committing = { accountId, requestId: requestId(), reservationId, credits: 1n };
    await retried(() => this.#any.billing.commit(committing));
    this.available -= 1n;
  }

  async assertBalance(): Promise<void> {
    const { accountId } = this;
    const { balance } = await retried(() => this.#any.billing.getBalance({ accountId }));
    if (balance?.available !== this.available)
      throw new Error(`${accountId}: ${balance?.available} available, not ${this.available}`);
  }

  /** Every charge is answered as it was, wherever the account is by now. */
  async assertRepeated(): Promise<void> {
    const { accountId } = this;
    for (const { requestId, seq } of this.charges) {
      const request = { accountId, requestId, credits: 2n };
      const { entrySeq, replay } = await retried(() => this.#any.billing.charge(request));
      if (entrySeq !== seq || !replay)
        throw new Error(`${accountId}: ${requestId} was charged again`);
    }
  }
}
