/** What an error of PostgreSQL or of the connection means for the requests it hit. */
import { Failure } from '../failure.ts';

/** Fields of errors of pg, PostgreSQL and sockets. */
type ErrorFields = {
  /** An SQLSTATE or the code of a system error. */
  readonly code?: unknown;
  readonly message?: unknown;
  readonly constraint?: unknown;
};

/** The error and its causes: MikroORM wraps the error of the driver. */
function* chainOf(error: unknown): Generator<ErrorFields> {
  for (let cause = error; typeof cause === 'object' && cause !== null; ) {
    yield cause;
    cause = (cause as { cause?: unknown }).cause;
  }
}

function firstText(error: unknown, field: keyof ErrorFields): string {
  for (const fields of chainOf(error)) {
    const value = fields[field];
    if (typeof value === 'string') return value;
  }
  return '';
}

/** The name of the constraint that a write violated; empty for any other error. */
export const constraintOf = (error: unknown): string => firstText(error, 'constraint');

/** An SQLSTATE or the code of a system error; empty where there is none. */
export const codeOf = (error: unknown): string => firstText(error, 'code');

/** Whether a constraint refused what was written. */
export const isRefusedWrite = (error: unknown): boolean => codeOf(error).startsWith('23');

const RETRYABLE = new Set([
  '40001', // serialization_failure
  '40P01', // deadlock_detected
  '55P03', // lock_not_available
  '23505', // unique_violation: two requests open one account at the same moment, and there is no row to lock
]);

/** Whether the transaction lost a race. Run again, it sees what the other has written. */
export const isRetryable = (error: unknown): boolean => RETRYABLE.has(codeOf(error));

/** SQLSTATEs and codes of system errors. */
const UNAVAILABLE = new RegExp(
  `^(${[
    '08...', // connection exceptions
    '28...|3D000', // a refused login or an unknown database
    '57P0[1-5]', // shutdown, crash, start
    '55000|25006', // a standby, which only reads
    '53...', // no disk space, memory or connections left
    '57014', // statement_timeout
    '25P0[34]', // a transaction stood still or lasted too long, as where the machine was suspended
    '40001|40P01|55P03', // a race that was lost again and again
    'ECONN.*|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH',
    // its certificate: OpenSSL's and Node's codes
    'CERT_.*|.*_CERT(_.*)?|.*SELF_SIGNED.*|UNABLE_TO_.*|ERR_TLS_.*|ERR_SSL_.*',
  ].join('|')})$`,
);

/** pg's errors without a code. */
const CONNECTION_LOST =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|error establishing an SSL connection/;

/** DATABASE_UNAVAILABLE where the database cannot be used at the moment; null for any other error. */
export function toDatabaseFailure(error: unknown): Failure | null {
  const isLost = [...chainOf(error)].some(({ message }) => CONNECTION_LOST.test(String(message)));
  if (!isLost && !UNAVAILABLE.test(codeOf(error))) return null;
  return new Failure(
    'DATABASE_UNAVAILABLE',
    'the database cannot be used at the moment; retry with the same request id',
  );
}
