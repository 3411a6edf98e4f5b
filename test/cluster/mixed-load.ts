/**
 * Callers on an unreliable network. They send a request to one replica or to both, give up early and try
 * elsewhere, and repeat requests that were answered, always under the same request id. The answers they
 * got are added up and compared with the balances.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { expect } from 'vitest';
import { type Scrip, type ScripCallOptions, ScripError } from '../../src/client.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { requestId } from '../service.ts';
import { Random } from './random.ts';

export type Load = {
  readonly replicas: readonly [Scrip, ...Scrip[]];
  readonly accountIds: readonly [string, ...string[]];
  readonly callers: number;
  readonly jobsPerCaller: number;
  readonly seed: number;
};

/** The balance of an account according to the answers of its callers. */
type Expected = { remaining: bigint; reserved: bigint };

/** Failures of requests that were decided. */
const DECIDED = new Set(['INSUFFICIENT_CREDITS', 'PAYMENT_REFERENCE_USED']);
/** gRPC codes after which the outcome is unknown. */
const UNKNOWN = new Set<number>([status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.CANCELLED]);
const isUnknown = (error: unknown): boolean =>
  error instanceof ScripError && UNKNOWN.has(error.code);
/** Attempts of one request, 20 ms apart: longer than any outage in these tests. */
const ATTEMPTS_MAX = 500;

type Call<Answer> = (scrip: Scrip, options: ScripCallOptions) => Promise<Answer>;

/** Runs the load, and expects the balances that follow from the callers' answers. */
export async function runMixedLoad(load: Load): Promise<void> {
  const expected = new Map<string, Expected>();
  for (const accountId of load.accountIds)
    expected.set(accountId, await readBalance(load.replicas[0], accountId));
  const callers = new UnreliableCallers(load.replicas, new Random(load.seed));
  const jobs = Array.from({ length: load.callers }, async (_, index) => {
    const random = new Random(load.seed * 1_000 + index);
    for (let job = 0; job < load.jobsPerCaller; job++) {
      const accountId = random.of(load.accountIds);
      const account = expected.get(accountId) ?? { remaining: 0n, reserved: 0n };
      await runJob(callers, accountId, account, random);
    }
  });
  await Promise.all(jobs);
  await callers.repeatUncertain();
  for (const [accountId, balance] of expected)
    for (const replica of load.replicas)
      expect(await readBalance(replica, accountId), accountId).toEqual(balance);
}

async function readBalance({ billing }: Scrip, accountId: string): Promise<Expected> {
  for (let attempts = 0; ; attempts++)
    try {
      const { balance } = await billing.getBalance({ accountId });
      return { remaining: balance?.remaining ?? 0n, reserved: balance?.reserved ?? 0n };
    } catch (error) {
      if (!isUnknown(error) || attempts === ATTEMPTS_MAX) throw error;
      await sleep(20);
    }
}

async function runJob(
  callers: UnreliableCallers,
  accountId: string,
  expected: Expected,
  random: Random,
) {
  const { call } = callers;
  const named = () => ({ accountId, requestId: requestId() });
  const credits = BigInt(random.integer(1, 30));
  switch (random.integer(0, 5)) {
    case 0: {
      const request = { ...named(), credits, category: Grant_Category.PAID, reason: 'a test' };
      return await call(
        (scrip, options) => scrip.accounts.grantCredits(request, options),
        () => (expected.remaining += credits),
      );
    }
    case 1: {
      const value = `order-${random.integer(1, 40)}`;
      const payment = { $case: 'paymentReference', value } as const;
      const request = { ...named(), packId: 'starter', payment };
      return await call(
        (scrip, options) => scrip.billing.purchase(request, options),
        ({ purchase }) => (expected.remaining += purchase?.credits ?? 0n),
      );
    }
    case 2: {
      const usages = {
        items: [{ operation: 'image.resize', quantities: mapOf({ output_pixels: 5_000_000n }) }],
      };
      const request = { ...named(), usages };
      const charged = await call(
        (scrip, options) => scrip.billing.charge(request, options),
        (answer) => (expected.remaining -= answer.credits),
      );
      if (!charged || random.next() < 0.5) return;
      const refund = { ...named(), seq: charged.entrySeq, credits: 3n, reason: 'a test' };
      return await call(
        (scrip, options) => scrip.billing.refund(refund, options),
        ({ refunded }) => (expected.remaining += refunded),
      );
    }
    default:
      return await reserveAndEnd(callers, accountId, expected, credits, random);
  }
}

async function reserveAndEnd(
  { call }: UnreliableCallers,
  accountId: string,
  expected: Expected,
  credits: bigint,
  random: Random,
) {
  const reserve = { accountId, requestId: requestId(), credits };
  const reserved = await call(
    (scrip, options) => scrip.billing.reserve(reserve, options),
    () => (expected.reserved += credits),
  );
  const reservationId = reserved?.reservation?.reservationId;
  if (!reservationId) return;
  const named = () => ({ accountId, requestId: requestId(), reservationId });
  const part = BigInt(random.integer(0, Number(credits)));

  const commit = async (
    request: { credits?: bigint; all?: boolean; final?: boolean },
    given: bigint,
  ) => {
    const whole = { ...named(), ...request };
    await call(
      (scrip, options) => scrip.billing.commit(whole, options),
      (answer) => {
        expected.remaining -= answer.committed;
        expected.reserved -= given;
      },
    );
  };
  const end = random.integer(0, 4);
  if (end === 0) return await commit({ all: true }, credits);
  if (end === 1) return await commit({ credits: part }, credits);
  if (end === 2) {
    await commit({ credits: part, final: false }, part);
    return await commit({ credits: 0n }, credits - part);
  }
  if (end === 3) {
    const release = named();
    return await call(
      (scrip, options) => scrip.billing.release(release, options),
      () => (expected.reserved -= credits),
    );
  }
  const extend = { ...named(), ttl: { seconds: 3_600n, nanos: 0 } };
  await call(
    (scrip, options) => scrip.billing.extendReservation(extend, options),
    () => {},
  );
}

/** What the caller of a request knows. */
type Known<Answer> = {
  /** Every answer it got; none if it was refused. */
  readonly answers: readonly Answer[];
  /** Another attempt may still take effect. */
  readonly uncertain: boolean;
};

/** Sends each request in one of the ways in which callers send one more than once. */
class UnreliableCallers {
  readonly #replicas: Load['replicas'];
  readonly #random: Random;
  readonly #uncertain: (() => Promise<unknown>)[] = [];

  constructor(replicas: Load['replicas'], random: Random) {
    this.#replicas = replicas;
    this.#random = random;
  }

  /** Passes the answer to `onAnswer` and returns it; null if the request was refused. */
  readonly call = async <Answer>(
    send: Call<Answer>,
    onAnswer: (answer: Answer) => unknown,
  ): Promise<Answer | null> => {
    const { answers, uncertain } = await this.#send(send);
    const [answer] = answers;
    if (answer === undefined) {
      if (uncertain) this.#uncertain.push(() => this.call(send, onAnswer));
      return null;
    }
    const withoutReplay = (response: Answer) => ({ ...response, replay: undefined });
    for (const other of answers) expect(withoutReplay(other)).toEqual(withoutReplay(answer));
    onAnswer(answer);
    return answer;
  };

  /** Repeats requests that were refused while an earlier attempt could still take effect. */
  async repeatUncertain(): Promise<void> {
    for (let repeat = this.#uncertain.pop(); repeat; repeat = this.#uncertain.pop()) await repeat();
  }

  async #send<Answer>(call: Call<Answer>): Promise<Known<Answer>> {
    const way = this.#random.integer(0, 4);
    if (way === 0) {
      const deadline = Date.now() + this.#random.integer(1, 30);
      const impatient = await this.#try(call, { deadline });
      const patient = await this.#until(call);
      return {
        answers: [...impatient.answers, ...patient.answers],
        uncertain: impatient.uncertain || patient.uncertain,
      };
    }
    if (way === 1) {
      const both = await Promise.all(this.#replicas.map(() => this.#until(call)));
      return {
        answers: both.flatMap(({ answers }) => answers),
        uncertain: both.some(({ uncertain }) => uncertain),
      };
    }
    const first = await this.#until(call);
    if (way === 3 || first.answers.length === 0) return first;
    let replayed = false;
    const onTrailers: ScripCallOptions['onTrailers'] = (trailers) => {
      replayed = trailers.get('idempotent-replayed')[0] === 'true';
    };
    const again = await this.#until(call, { onTrailers });
    expect(again.answers).toHaveLength(1);
    expect(replayed).toBe(true);
    return { answers: [...first.answers, ...again.answers], uncertain: false };
  }

  /** Repeats the request until it is decided. */
  async #until<Answer>(call: Call<Answer>, options: ScripCallOptions = {}): Promise<Known<Answer>> {
    for (let attempts = 0; attempts < ATTEMPTS_MAX; attempts++) {
      const { answers, uncertain } = await this.#try(call, options);
      if (!uncertain) return { answers, uncertain: attempts > 0 };
      await sleep(20);
    }
    throw new Error('the request was never decided');
  }

  async #try<Answer>(call: Call<Answer>, options: ScripCallOptions): Promise<Known<Answer>> {
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
