/** What proto/billing/v1/error_reason.proto promises of each reason, read from its comments. */
import { readFileSync } from 'node:fs';
import { status } from '@grpc/grpc-js';

const PROTO = new URL('../../proto/billing/v1/error_reason.proto', import.meta.url);

export type Promised = {
  readonly reason: string;
  /** One or, for CANCELLED, either of two. */
  readonly codes: readonly status[];
  readonly metadata: readonly string[];
  readonly retryInfo: boolean;
};

const CODES = new Map(
  Object.entries(status).flatMap(([name, code]) =>
    typeof code === 'number' ? [[name, code]] : [],
  ),
);

export function promisedErrors(): readonly Promised[] {
  const promised: Promised[] = [];
  let comment = '';
  for (const line of readFileSync(PROTO, 'utf8').split('\n')) {
    const [, said] = /^ {2}\/\/ (.*)$/.exec(line) ?? [];
    if (said !== undefined) {
      comment += ` ${said}`;
      continue;
    }
    const [, reason] = /^ {2}ERROR_REASON_([A-Z_]+) = [1-9]\d*;$/.exec(line) ?? [];
    if (reason !== undefined) promised.push(promisedBy(reason, comment.trim()));
    comment = '';
  }
  return promised;
}

function promisedBy(reason: string, comment: string): Promised {
  const head = comment.slice(0, comment.indexOf('.'));
  const [, listed = ''] = /Metadata: ([a-z_, ]+)/.exec(comment) ?? [];
  return {
    reason,
    codes: (head.match(/[A-Z_]{4,}/g) ?? []).map((name) => {
      const code = CODES.get(name);
      if (code === undefined) throw new Error(`${reason}: ${name} is no status code`);
      return code;
    }),
    metadata: listed
      .split(',')
      .map((key) => key.trim())
      .filter(Boolean),
    retryInfo: head.includes('RetryInfo'),
  };
}
