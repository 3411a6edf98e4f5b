/** What is counted and measured of calls, units of work and entries. */
import { BoundedValues } from './bounded-values.ts';
import type { CallRecord } from './call-record.ts';
import type { Instruments } from './instruments.ts';
import { type AttributesOf, OTHER } from './metrics.ts';
import type { Observer, ProviderCall } from './observers.ts';
import type { UnitRecord } from './unit-record.ts';

/** What is read of an entry that was committed. */
export type CountedEntry = {
  readonly kind: string;
  readonly credits: bigint;
  readonly planId: string;
  readonly usages: readonly {
    readonly usage: { readonly operation: string };
    readonly credits: bigint;
  }[];
};

const PLANS_MAX = 100;
const OPERATIONS_MAX = 500;
const URLS_MAX = 50;
/** By what a unit of work failed with: see `UnitRecord.retryCause`. */
const CAUSES: Readonly<Record<string, AttributesOf<'scrip.unit.retries'>['scrip.retry.cause']>> = {
  'stale cache': 'stale_cache',
  '40001': 'serialization',
  '40P01': 'deadlock',
  '55P03': 'lock_timeout',
  '23505': 'conflict',
};

export class WorkMetrics implements Observer {
  readonly #instruments: Instruments;
  readonly #plans = new BoundedValues(PLANS_MAX);
  readonly #operations = new BoundedValues(OPERATIONS_MAX);
  readonly #urls = new BoundedValues(URLS_MAX);

  constructor(instruments: Instruments) {
    this.#instruments = instruments;
  }

  callEnded(call: CallRecord) {
    const instruments = this.#instruments;
    const { method } = call;
    if (call.batch === null)
      instruments['rpc.server.call.duration'].record(call.durationMs / 1_000, {
        'rpc.method': method,
        'rpc.status_code': call.status,
      });
    if (call.failure)
      instruments['scrip.refusals'].add(1, {
        'rpc.method': method,
        'scrip.reason': call.failure.reason,
        'scrip.plan.id': this.#plans.of(call.planId),
      });
    if (call.replayed) instruments['scrip.replays'].add(1, { 'rpc.method': method });
    // A Batch has waited as long as the mutations that it is made of.
    if (call.units.length > 0 && call.mutations === 0)
      instruments['scrip.lane.wait'].record(call.laneWaitMs / 1_000, {});
  }

  unitEnded(unit: UnitRecord) {
    const instruments = this.#instruments;
    if (unit.attempt > 1) this.#addRetry(CAUSES[unit.retryCause] ?? 'conflict', 1);
    if (unit.locked > 0) this.#addRetry('locked_elsewhere', unit.locked);
    if (unit.retryCause === 'stale cache') this.#addCached('stale', 1);
    // Of one that did not commit it is not known which accounts were cached.
    if (unit.outcome !== 'committed') return;
    for (const reason of unit.shadowDecisions)
      instruments['scrip.shadow.decisions'].add(1, { 'scrip.reason': reason });
    this.#addCached('hit', unit.cached);
    this.#addCached('miss', unit.accounts - unit.cached);
    instruments['scrip.unit.size'].record(unit.tasks, {});
    this.#recordPhase('connect', unit.connectMs);
    this.#recordPhase('lock_load', unit.lockLoadMs);
    this.#recordPhase('decide', unit.decideMs);
    this.#recordPhase('save_commit', unit.saveCommitMs);
  }

  providerCallEnded({ method, template, outcome, durationMs }: ProviderCall) {
    this.#instruments['scrip.provider.duration'].record(durationMs / 1_000, {
      'http.request.method': method,
      'url.template': this.#urls.of(template),
      'scrip.outcome': outcome,
    });
  }

  entriesCommitted(entries: readonly CountedEntry[]) {
    for (const { kind, credits, planId, usages } of entries) {
      if (credits === 0n) continue;
      const plan = this.#plans.of(planId);
      const sum = usages.reduce((sum, usage) => sum + usage.credits, 0n);
      if (usages.length > 0 && sum === credits)
        for (const { usage, credits } of usages)
          this.#addCredits(kind, plan, this.#operations.of(usage.operation), credits);
      else this.#addCredits(kind, plan, this.#operationOf(usages), credits);
    }
  }

  /** The one operation that all of them are of. */
  #operationOf(usages: CountedEntry['usages']): string {
    const [first, ...others] = usages;
    if (!first) return '';
    const { operation } = first.usage;
    return others.every(({ usage }) => usage.operation === operation)
      ? this.#operations.of(operation)
      : OTHER;
  }

  #addCredits(kind: string, plan: string, operation: string, credits: bigint) {
    this.#instruments['scrip.credits'].add(Number(credits), {
      'scrip.entry.kind': kind,
      'scrip.plan.id': plan,
      'scrip.operation': operation,
    });
  }

  #addRetry(cause: AttributesOf<'scrip.unit.retries'>['scrip.retry.cause'], count: number) {
    this.#instruments['scrip.unit.retries'].add(count, { 'scrip.retry.cause': cause });
  }

  #addCached(result: AttributesOf<'scrip.cache'>['scrip.cache.result'], count: number) {
    if (count > 0) this.#instruments['scrip.cache'].add(count, { 'scrip.cache.result': result });
  }

  #recordPhase(phase: AttributesOf<'scrip.unit.duration'>['scrip.unit.phase'], ms: number) {
    this.#instruments['scrip.unit.duration'].record(ms / 1_000, { 'scrip.unit.phase': phase });
  }
}
