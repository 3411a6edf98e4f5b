/**
 * Callers that live with an unreliable network: they send a request to one replica or to both at
 * once, give up waiting and ask again elsewhere, repeat what was answered already, always under the
 * request id they began with. What they were told in the end is added up, to be held against the
 * ledger.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { expect } from 'vitest';
import { type Scrip, type ScripCallOptions, ScripError } from '../../src/client.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { requestId } from '../service.ts';
import { Random } from './random.ts';

export type Load = {
  readonly replicas: readonly [Scrip, ...Scrip[]];
  readonly accountIds: readonly [string, ...string[]];
  readonly callers: number;
  readonly jobsPerCaller: number;
  readonly seed: number;
};

/** What an account should have, as its callers were told. */
type Told = { remaining: bigint; reserved: bigint };

/** Failures that are an answer: the request was decided. */
const DECIDED = new Set(['INSUFFICIENT_CREDITS', 'PAYMENT_REFERENCE_USED']);
/** gRPC codes that leave the outcome unknown. */
const UNKNOWN = new Set<number>([status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.CANCELLED]);
const isUnknown = (error: unknown): boolean =>
  error instanceof ScripError && UNKNOWN.has(error.code);
/** Of one request, 20 ms apart: longer than any outage the tests make. */
const TRIES_MAX = 500;

type Call<Answer> = (scrip: Scrip, options: ScripCallOptions) => Promise<Answer>;

/** Runs the load, and expects the balances to be what the callers were told. */
export async function runMixedLoad(load: Load): Promise<void> {
  const told = new Map<string, Told>();
  for (const accountId of load.accountIds)
    told.set(accountId, await readBalance(load.replicas[0], accountId));
  const asking = new Asking(load.replicas, new Random(load.seed));
  const callers = Array.from({ length: load.callers }, async (_, index) => {
    const random = new Random(load.seed * 1_000 + index);
    for (let job = 0; job < load.jobsPerCaller; job++) {
      const accountId = random.of(load.accountIds);
      const account = told.get(accountId) ?? { remaining: 0n, reserved: 0n };
      await runJob(asking, accountId, account, random);
    }
  });
  await Promise.all(callers);
  await asking.askAgain();
  for (const [accountId, expected] of told)
    for (const replica of load.replicas)
      expect(await readBalance(replica, accountId), accountId).toEqual(expected);
}

async function readBalance({ billing }: Scrip, accountId: string): Promise<Told> {
  for (let tries = 0; ; tries++)
    try {
      const { balance } = await billing.getBalance({ accountId });
      return { remaining: balance?.remaining ?? 0n, reserved: balance?.reserved ?? 0n };
    } catch (error) {
      if (!isUnknown(error) || tries === TRIES_MAX) throw error;
      await sleep(20);
    }
}

async function runJob(asking: Asking, accountId: string, told: Told, random: Random) {
  const { ask } = asking;
  const named = () => ({ accountId, requestId: requestId() });
  const credits = BigInt(random.integer(1, 30));
  switch (random.integer(0, 5)) {
    case 0: {
      const request = { ...named(), credits, category: Grant_Category.PAID };
      return await ask(
        (scrip, options) => scrip.accounts.grantCredits(request, options),
        () => (told.remaining += credits),
      );
    }
    case 1: {
      const value = `order-${random.integer(1, 40)}`;
      const payment = { $case: 'paymentReference', value } as const;
      const request = { ...named(), packId: 'starter', payment };
      return await ask(
        (scrip, options) => scrip.billing.purchase(request, options),
        ({ purchase }) => (told.remaining += purchase?.credits ?? 0n),
      );
    }
    case 2: {
      const usages = [{ operation: 'image.resize', quantities: { output_pixels: 5_000_000n } }];
      const request = { ...named(), usages };
      const charged = await ask(
        (scrip, options) => scrip.billing.charge(request, options),
        (answer) => (told.remaining -= answer.credits),
      );
      if (!charged || random.next() < 0.5) return;
      const refund = { ...named(), seq: charged.entrySeq, credits: 3n };
      return await ask(
        (scrip, options) => scrip.billing.refund(refund, options),
        ({ refunded }) => (told.remaining += refunded),
      );
    }
    default:
      return await reserveAndEnd(asking, accountId, told, credits, random);
  }
}

async function reserveAndEnd(
  { ask }: Asking,
  accountId: string,
  told: Told,
  credits: bigint,
  random: Random,
) {
  const reserve = { accountId, requestId: requestId(), credits };
  const reserved = await ask(
    (scrip, options) => scrip.billing.reserve(reserve, options),
    () => (told.reserved += credits),
  );
  const reservationId = reserved?.reservation?.reservationId;
  if (!reservationId) return;
  const named = () => ({ accountId, requestId: requestId(), reservationId });
  const part = BigInt(random.integer(0, Number(credits)));

  const commit = async (request: { credits?: bigint; final?: boolean }, given: bigint) => {
    const whole = { ...named(), ...request };
    await ask(
      (scrip, options) => scrip.billing.commit(whole, options),
      (answer) => {
        told.remaining -= answer.committed;
        told.reserved -= given;
      },
    );
  };
  const end = random.integer(0, 4);
  if (end === 0) return await commit({}, credits);
  if (end === 1) return await commit({ credits: part }, credits);
  if (end === 2) {
    await commit({ credits: part, final: false }, part);
    return await commit({ credits: 0n }, credits - part);
  }
  if (end === 3) {
    const release = named();
    return await ask(
      (scrip, options) => scrip.billing.release(release, options),
      () => (told.reserved -= credits),
    );
  }
  const extend = { ...named(), ttl: { seconds: 3_600n, nanos: 0 } };
  await ask(
    (scrip, options) => scrip.billing.extendReservation(extend, options),
    () => {},
  );
}

/** What became of a request, as far as its caller knows. */
type Fate<Answer> = {
  /** Every answer it got; none if it was refused. */
  readonly answers: readonly Answer[];
  /** A try of it may still be under way somewhere. */
  readonly uncertain: boolean;
};

/** Sends requests, in one of the ways that a caller may come to send one more than once. */
class Asking {
  readonly #replicas: Load['replicas'];
  readonly #random: Random;
  readonly #uncertain: (() => Promise<unknown>)[] = [];

  constructor(replicas: Load['replicas'], random: Random) {
    this.#replicas = replicas;
    this.#random = random;
  }

  /** The answer, told once to `believe`; null if the request was refused. */
  readonly ask = async <Answer>(
    call: Call<Answer>,
    believe: (answer: Answer) => unknown,
  ): Promise<Answer | null> => {
    const { answers, uncertain } = await this.#send(call);
    const [answer] = answers;
    if (answer === undefined) {
      if (uncertain) this.#uncertain.push(() => this.ask(call, believe));
      return null;
    }
    for (const other of answers) expect(other).toEqual(answer);
    believe(answer);
    return answer;
  };

  /** Asks again what was refused though an earlier try may have got through after that. */
  async askAgain(): Promise<void> {
    for (let again = this.#uncertain.pop(); again; again = this.#uncertain.pop()) await again();
  }

  async #send<Answer>(call: Call<Answer>): Promise<Fate<Answer>> {
    const way = this.#random.integer(0, 4);
    if (way === 0) {
      const deadline = Date.now() + this.#random.integer(1, 30);
      const hasty = await this.#try(call, { deadline });
      const patient = await this.#until(call);
      return {
        answers: [...hasty.answers, ...patient.answers],
        uncertain: hasty.uncertain || patient.uncertain,
      };
    }
    if (way === 1) {
      const both = await Promise.all(this.#replicas.map(() => this.#until(call)));
      return {
        answers: both.flatMap(({ answers }) => answers),
        uncertain: both.some(({ uncertain }) => uncertain),
      };
    }
    const fate = await this.#until(call);
    if (way === 3 || fate.answers.length === 0) return fate;
    let replayed = false;
    const onTrailers: ScripCallOptions['onTrailers'] = (trailers) => {
      replayed = trailers.get('idempotent-replayed')[0] === 'true';
    };
    const again = await this.#until(call, { onTrailers });
    expect(again.answers).toHaveLength(1);
    expect(replayed).toBe(true);
    return { answers: [...fate.answers, ...again.answers], uncertain: false };
  }

  /** Tries until the request is decided. */
  async #until<Answer>(call: Call<Answer>, options: ScripCallOptions = {}): Promise<Fate<Answer>> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const { answers, uncertain } = await this.#try(call, options);
      if (!uncertain) return { answers, uncertain: tries > 0 };
      await sleep(20);
    }
    throw new Error('the request was never decided');
  }

  async #try<Answer>(call: Call<Answer>, options: ScripCallOptions): Promise<Fate<Answer>> {
    try {
      return { answers: [await call(this.#random.of(this.#replicas), options)], uncertain: false };
    } catch (error) {
      if (isUnknown(error)) return { answers: [], uncertain: true };
      if (error instanceof ScripError && DECIDED.has(error.reason))
        return { answers: [], uncertain: false };
      throw error;
    }
  }
}
