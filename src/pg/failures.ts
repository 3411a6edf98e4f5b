/** What an error from the database means for the requests it hit. */
import { Failure } from '../failure.ts';

/** The driver's error under whatever the ORM wrapped it in. */
function* causes(
  error: unknown,
): Generator<{ code?: string; message?: string; constraint?: string }> {
  for (let cause = error; typeof cause === 'object' && cause !== null; ) {
    yield cause as { code?: string };
    cause = (cause as { cause?: unknown }).cause;
  }
}

const codeOf = (error: unknown): string => {
  for (const { code } of causes(error)) if (typeof code === 'string') return code;
  return '';
};

/** The constraint that a write violated; empty where it failed of something else. */
export const constraintOf = (error: unknown): string => {
  for (const { constraint } of causes(error)) if (typeof constraint === 'string') return constraint;
  return '';
};

/**
 * Serialization failure, deadlock, a lock that was not had in time, and a key that was inserted before
 * (two openings of one account race without a row to lock): run again, the transaction sees what won.
 */
const RETRYABLE = new Set(['40001', '40P01', '55P03', '23505']);

export const isRetryable = (error: unknown): boolean => RETRYABLE.has(codeOf(error));

/**
 * Connection exceptions, refused logins and databases, shutdown, too many connections, read-only standby, timeouts, sockets, and
 * a race lost as often as it was run again.
 */
const UNAVAILABLE =
  /^(08...|28...|3D000|55000|40001|40P01|57P0[1-5]|53300|25006|57014|55P03|ECONN.*|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)$/;

const LOST =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error/;

/** The failure to answer where the database cannot be reached; null where that is not the cause. */
export function failureOfDatabase(error: unknown): Failure | null {
  const lost = [...causes(error)].some(({ message }) => LOST.test(message ?? ''));
  if (!lost && !UNAVAILABLE.test(codeOf(error))) return null;
  return new Failure(
    'DATABASE_UNAVAILABLE',
    'the database cannot be reached; retry with the same request id',
  );
}
