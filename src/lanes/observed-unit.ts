/** The span of a unit of work, and what is recorded of it. */
import type { Link } from '@opentelemetry/api';
import { Failure } from '../failure.ts';
import type { Trace } from '../ledger/entry.ts';
import { codeOf, toDatabaseFailure } from '../pg/failures.ts';
import type { Em } from '../pg/orm.ts';
import { traceBatches } from '../pg/traced-batches.ts';
import { toSeconds } from '../telemetry/call-attributes.ts';
import type { Observers } from '../telemetry/observers.ts';
import { LINKS_MAX } from '../telemetry/spans.ts';
import {
  childrenOf,
  failSpan,
  isSpan,
  type SpanOf,
  spanContextOf,
  type Tracing,
} from '../telemetry/tracing.ts';
import type { UnitRecord } from '../telemetry/unit-record.ts';
import type { LoadedUnit } from './loaded-unit.ts';
import { raceLostBy } from './lost-race.ts';
import type { SingleTask } from './task.ts';

type Context = { readonly tracing: Tracing; readonly observers: Observers };

export class ObservedUnit {
  readonly #context: Context;
  readonly #tasks: readonly SingleTask[];
  readonly #record: UnitRecord;
  readonly #span: SpanOf<'unit of work'>;
  /** Distinct spans that caused the tasks. */
  readonly #calls: number;

  /** Starts the span. `record` is given its ids. */
  constructor(context: Context, tasks: readonly SingleTask[], record: UnitRecord) {
    this.#context = context;
    this.#tasks = tasks;
    this.#record = record;
    const causes = causesOf(tasks);
    this.#calls = causes.size;
    this.#span = context.tracing.start('unit of work', { links: linksOf(causes) });
    const { traceId, spanId } = this.#span.spanContext();
    record.traceId = traceId;
    record.spanId = spanId;
    record.sampled = this.#span.isRecording();
  }

  /** From now on every batch of SQL statements of the transaction is a span, if the unit of work is one. */
  observeBatches(em: Em) {
    if (this.#record.sampled) traceBatches(em, this.#context.tracing, childrenOf(this.#span));
  }

  committed({ books, cached, lockedElsewhere, shadows }: LoadedUnit) {
    const record = this.#record;
    record.accounts = books.size + lockedElsewhere.size;
    record.cached = cached.size;
    record.locked = lockedElsewhere.size;
    if (shadows)
      record.shadowDecisions = [...shadows.values()].flatMap(({ decisions }) =>
        decisions.map(({ refusal }) => refusal?.reason ?? ''),
      );
    record.end('committed');
    this.#end();
  }

  failed(error: unknown) {
    const lostBy = raceLostBy(error);
    const isUnavailable = error instanceof Failure || toDatabaseFailure(error) !== null;
    this.#record.accounts = new Set(this.#tasks.map(({ accountId }) => accountId)).size;
    this.#record.end(lostBy ? 'lost race' : isUnavailable ? 'unavailable' : 'failed');
    if (this.#record.sampled && !lostBy) {
      failSpan(this.#span, typeOf(error));
      if (error instanceof Error) this.#span.recordException(error);
    }
    this.#end();
  }

  #end() {
    const record = this.#record;
    if (record.sampled)
      this.#span.setAttributes({
        'scrip.unit.tasks': record.tasks,
        'scrip.unit.calls': this.#calls,
        'scrip.unit.accounts': record.accounts,
        'scrip.unit.cached': record.cached,
        'scrip.unit.locked': record.locked,
        'scrip.unit.attempt': record.attempt,
        'scrip.unit.retry_cause': record.retryCause || undefined,
        'scrip.unit.outcome': record.outcome,
        'scrip.unit.connect': toSeconds(record.connectMs),
        'scrip.unit.lock_load': toSeconds(record.lockLoadMs),
        'scrip.unit.decide': toSeconds(record.decideMs),
        'scrip.unit.save_commit': toSeconds(record.saveCommitMs),
      });
    this.#span.end();
    this.#context.observers.unitEnded(record);
  }
}

/** The spans that caused the tasks, by their ids. A Batch has caused many. */
function causesOf(tasks: readonly SingleTask[]): ReadonlyMap<string, Trace> {
  const causes = new Map<string, Trace>();
  for (const task of tasks) {
    const cause = 'command' in task ? task.origin : task.cause;
    if (cause) causes.set(cause.spanId, cause);
  }
  return causes;
}

/**
 * Those that are exported come first, as there may be too many. If none is, one link is enough to say so: then
 * nobody sees the span.
 */
function linksOf(causes: ReadonlyMap<string, Trace>): Link[] {
  const all = [...causes.values()].filter(isSpan);
  const sampled = all.filter((cause) => cause.sampled);
  const others = all.filter((cause) => !cause.sampled);
  const linked = sampled.length === 0 ? others.slice(0, 1) : [...sampled, ...others];
  return linked.slice(0, LINKS_MAX).map((cause) => ({ context: spanContextOf(cause) }));
}

/** What failed, as spans name it: the reason of a Failure, an SQLSTATE, or the name of the error. */
function typeOf(error: unknown): string {
  if (error instanceof Failure) return error.reason;
  return codeOf(error) || (error instanceof Error ? error.name : 'Error');
}
