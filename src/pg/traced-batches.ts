/** Spans of batches of SQL statements, for the transactions that are told to have them. */
import type { Parent, Tracing } from '../telemetry/tracing.ts';
import { failSpan } from '../telemetry/tracing.ts';
import type { Connection } from './connection.ts';
import { codeOf, isRefusedWrite, isRetryable } from './failures.ts';
import type { Em } from './orm.ts';
import type { ParsedRow, SqlStatement } from './pipelined-batch.ts';
import { summaryOf } from './query-summary.ts';

type Traced = { readonly tracing: Tracing; readonly parent: Parent };

const tracedOf = new WeakMap<Em, Traced>();

/** From now on every batch that the entity manager sends is a span, the child of `parent`. */
export function traceBatches(em: Em, tracing: Tracing, parent: Parent) {
  tracedOf.set(em, { tracing, parent });
}

/** Sends a batch, in a span of its own if the entity manager has them. */
export async function sendTraced(
  em: Em,
  connection: Connection,
  statements: readonly SqlStatement[],
  options: { readonly commit: boolean },
): Promise<ParsedRow[][]> {
  const traced = tracedOf.get(em);
  if (!traced) return await connection.send(statements, options);
  const { host, port, database } = connection.target;
  const span = traced.tracing.start(options.commit ? 'save and commit' : 'lock and load', {
    parent: traced.parent,
    attributes: {
      'db.system.name': 'postgresql',
      'db.namespace': database,
      'db.query.summary': summaryOf(statements),
      'db.operation.batch.size': statements.length,
      'server.address': host,
      'server.port': port,
    },
  });
  try {
    return await connection.send(statements, options);
  } catch (error) {
    const code = codeOf(error);
    span.setAttributes({ 'db.response.status_code': code || undefined });
    // A race that was lost is no fault.
    if (!isRetryable(error) && !isRefusedWrite(error)) failSpan(span, code || 'Error');
    throw error;
  } finally {
    span.end();
  }
}
