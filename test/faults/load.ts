/**
 * Callers that work while faults happen: each sends one request after the other, to the replicas in turn. A caller
 * that does not know an outcome repeats the request elsewhere, or leaves it until the fault is over.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Scrip, type ScripCallOptions } from '../../src/client.ts';
import { forEachConcurrently } from '../../src/for-each-concurrently.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { Random } from '../cluster/random.ts';
import { Follower } from './follower.ts';
import { type Answer, Journal, type Sent } from './journal.ts';

const CALLERS = 16;
/** Outcomes that are resolved at the same time: after an overload there are many. */
const RESOLVERS = 128;
const COLD_ACCOUNTS = 20;
/** Never used up, and expires in 30 days: a clock that jumps could expire it. */
const CREDITS = 1_000_000_000n;
const EXPIRES_IN_MS = 30 * 24 * 3_600_000;
const PROBES = 20;
const DEADLINE_MS = 5_000;
const PAUSE_MS = 50;
/** How long a replica may take to serve again. */
const RECOVERY_TIMEOUT_MS = 120_000;

/** A connection that comes back soon after an outage. */
export const channel = {
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 500,
  // Each client has connections of its own.
  'grpc.use_local_subchannel_pool': 1,
};

export class Load {
  readonly journal = new Journal();
  readonly accountIds: readonly [string, ...string[]];
  readonly follower: Follower;
  readonly #replicas: readonly Scrip[];
  readonly #random: Random;
  /** Replicas that did not answer the last call. */
  readonly #silent = new Set<number>();
  #isStopped = false;
  #callers: Promise<unknown> = Promise.resolve();
  /** When each acknowledged call was answered. */
  readonly #acknowledgedAt: number[] = [];
  /** For each replica, when the last call was sent that it has acknowledged. */
  readonly #servedAt: number[];

  constructor(ports: readonly number[], seed: number) {
    this.#replicas = ports.map((port) =>
      connect(`127.0.0.1:${port}`, { caller: 'faults', channel }),
    );
    this.#servedAt = ports.map(() => 0);
    this.#random = new Random(seed);
    const cold = Array.from({ length: COLD_ACCOUNTS }, (_, n) => `cold-${n}`);
    this.accountIds = ['hot', ...cold];
    this.follower = new Follower(this.accountIds[0], this.#replicas);
  }

  get replicas(): readonly Scrip[] {
    return this.#replicas;
  }

  /** Opens the accounts and starts the callers, and a follower of the busiest account. */
  async start() {
    const [scrip] = this.#replicas as [Scrip];
    for (const accountId of this.accountIds) {
      await scrip.accounts.openAccount({ accountId, requestId: 'open', planId: 'verts' });
      const expiresAt = new Date(Date.now() + EXPIRES_IN_MS);
      const grant = { accountId, credits: CREDITS, category: Grant_Category.PAID, expiresAt };
      await this.#send(
        { accountId, method: 'GrantCredits', credits: CREDITS },
        0,
        (to, id, options) =>
          to.accounts.grantCredits({ reason: 'a test', ...grant, requestId: id }, options),
      );
    }
    this.follower.start();
    this.#callers = Promise.all(Array.from({ length: CALLERS }, (_, n) => this.#call(n)));
  }

  /** Resolves when every caller has its last answer. */
  async stop() {
    this.#isStopped = true;
    await this.#callers;
  }

  close() {
    for (const replica of this.#replicas) replica.close();
  }

  /** Acknowledged calls per second in a time. */
  rate(from: number, to: number): number {
    const many = this.#acknowledgedAt.filter((at) => at >= from && at < to).length;
    return Math.round((1_000 * many) / Math.max(1, to - from));
  }

  /** Resolves with the time that it takes until every replica has acknowledged a call sent from now on. */
  async recovery(): Promise<number> {
    const since = performance.now();
    while (!this.#servedAt.every((at) => at > since)) {
      if (performance.now() - since > RECOVERY_TIMEOUT_MS)
        throw new Error(`no recovery within ${RECOVERY_TIMEOUT_MS / 1_000} s`);
      await sleep(5);
    }
    return performance.now() - since;
  }

  /** Repeats every request whose outcome is unknown until it is known. */
  async resolve(): Promise<void> {
    const resolveOne = async (sent: Sent, index: number) => {
      const until = performance.now() + RECOVERY_TIMEOUT_MS;
      while (sent.seq === null && !sent.isRefused) {
        if (performance.now() > until) throw new Error('an outcome stays unknown');
        await this.#attempt(sent, index % this.#replicas.length);
        if (sent.seq === null) await sleep(PAUSE_MS);
      }
    };
    await forEachConcurrently(this.journal.unknown.entries(), RESOLVERS, null, ([index, sent]) =>
      resolveOne(sent, index),
    );
  }

  /**
   * Charges at a rate that does not follow the answers, and does not repeat what failed. Resolves when all
   * are answered.
   */
  async flood(perSecond: number, ms: number, deadlineMs: number): Promise<void> {
    const startedAt = performance.now();
    const flying: Promise<unknown>[] = [];
    for (let elapsed = 0; elapsed < ms; elapsed = performance.now() - startedAt) {
      while (flying.length < (perSecond * elapsed) / 1_000) {
        const sent = this.#charge(this.#random.of(this.accountIds));
        const replica = flying.length % this.#replicas.length;
        flying.push(this.#attempt(sent, replica, deadlineMs));
      }
      await sleep(5);
    }
    await Promise.all(flying);
  }

  #charge(accountId: string): Sent {
    const requestId = randomUUID();
    return this.journal.record({
      accountId,
      requestId,
      method: 'Charge',
      credits: 1n,
      send: (to, options) => to.billing.charge({ accountId, requestId, credits: 1n }, options),
    });
  }

  /** Sends an acknowledged request once more: the journal reports another answer. */
  async repeat(sent: Sent): Promise<void> {
    await this.#attempt(sent, 0);
  }

  async #call(caller: number) {
    for (let turn = caller; !this.#isStopped; turn++) await this.#job(turn);
  }

  async #job(turn: number) {
    const random = this.#random;
    const accountId = random.next() < 0.5 ? this.accountIds[0] : random.of(this.accountIds);
    const credits = BigInt(random.integer(1, 5));
    const kind = random.next();
    if (kind < 0.1) {
      const grant = { accountId, credits, category: Grant_Category.PROMOTIONAL };
      await this.#send({ accountId, method: 'GrantCredits', credits }, turn, (to, id, options) =>
        to.accounts.grantCredits({ reason: 'a test', ...grant, requestId: id }, options),
      );
    } else if (kind < 0.6)
      await this.#send({ accountId, method: 'Charge', credits }, turn, (to, id, options) =>
        to.billing.charge({ accountId, requestId: id, credits }, options),
      );
    else await this.#reservation(accountId, credits, turn);
  }

  async #reservation(accountId: string, credits: bigint, turn: number) {
    const reserved = await this.#send(
      { accountId, method: 'Reserve', credits },
      turn,
      (to, id, options) => to.billing.reserve({ accountId, requestId: id, credits }, options),
    );
    const reservationId = reserved?.reservation?.reservationId;
    if (!reservationId) return;
    const named = { accountId, reservationId };
    if (this.#random.next() < 0.7)
      await this.#send({ accountId, method: 'Commit', credits: 1n }, turn + 1, (to, id, options) =>
        to.billing.commit({ ...named, requestId: id, credits: 1n }, options),
      );
    else
      await this.#send({ accountId, method: 'Release', credits }, turn + 1, (to, id, options) =>
        to.billing.release({ ...named, requestId: id }, options),
      );
  }

  /** Null where the outcome stays unknown for the moment. */
  async #send<Response extends Answer>(
    asked: Pick<Sent, 'accountId' | 'method' | 'credits'>,
    turn: number,
    call: (to: Scrip, requestId: string, options: ScripCallOptions) => Promise<Response>,
  ): Promise<Response | null> {
    const requestId = randomUUID();
    const sent = this.journal.record<Response>({
      ...asked,
      requestId,
      send: (to, options) => call(to, requestId, options),
    });
    const isPatient = this.#random.next() < 0.5;
    for (let attempt = 0; ; attempt++) {
      const replica = this.#choose(turn + attempt);
      const answer = await this.#attempt(sent, replica);
      if (answer) this.#silent.delete(replica);
      else this.#silent.add(replica);
      if (answer || sent.isRefused) return answer;
      await sleep(PAUSE_MS);
      if (!isPatient || this.#isStopped) return null;
    }
  }

  /**
   * The replicas in turn. Only one in `PROBES` goes to a replica that did not answer the last time, unless none
   * did: callers route by health.
   */
  #choose(turn: number): number {
    const count = this.#replicas.length;
    const replica = turn % count;
    const isAvoided = this.#silent.has(replica) && this.#silent.size < count;
    return isAvoided && this.#random.integer(1, PROBES) > 1 ? (replica + 1) % count : replica;
  }

  async #attempt<Response extends Answer>(
    sent: Sent<Response>,
    replica: number,
    deadlineMs = DEADLINE_MS,
  ): Promise<Response | null> {
    const sentAt = performance.now();
    const scrip = this.#replicas[replica] as Scrip;
    const answer = await this.journal.send(sent, scrip, { deadline: Date.now() + deadlineMs });
    if (!answer) return null;
    this.#acknowledgedAt.push(performance.now());
    this.#servedAt[replica] = Math.max(this.#servedAt[replica] ?? 0, sentAt);
    return answer;
  }
}
