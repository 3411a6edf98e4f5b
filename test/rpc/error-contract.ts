/** The status, metadata and details of each reason, parsed from the comments of error_reason.proto. */
import { readFileSync } from 'node:fs';
import { status } from '@grpc/grpc-js';

const PROTO = new URL('../../proto/billing/v1/error_reason.proto', import.meta.url);

export type DocumentedError = {
  readonly reason: string;
  /** One status code; CANCELLED has two. */
  readonly codes: readonly status[];
  readonly metadata: readonly string[];
  readonly retryInfo: boolean;
};

const CODES = new Map(
  Object.entries(status).flatMap(([name, code]) =>
    typeof code === 'number' ? [[name, code]] : [],
  ),
);

export function documentedErrors(): readonly DocumentedError[] {
  const documented: DocumentedError[] = [];
  let comment = '';
  for (const line of readFileSync(PROTO, 'utf8').split('\n')) {
    const [, text] = /^ {2}\/\/ (.*)$/.exec(line) ?? [];
    if (text !== undefined) {
      comment += ` ${text}`;
      continue;
    }
    const [, reason] = /^ {2}ERROR_REASON_([A-Z_]+) = [1-9]\d*;$/.exec(line) ?? [];
    if (reason !== undefined) documented.push(parseComment(reason, comment.trim()));
    comment = '';
  }
  return documented;
}

function parseComment(reason: string, comment: string): DocumentedError {
  const head = comment.slice(0, comment.indexOf('.'));
  const [, listed = ''] = /Metadata: ([a-z_, ]+)/.exec(comment) ?? [];
  return {
    reason,
    codes: (head.match(/[A-Z_]{4,}/g) ?? []).map((name) => {
      const code = CODES.get(name);
      if (code === undefined) throw new Error(`${reason}: ${name} is not a status code`);
      return code;
    }),
    metadata: listed
      .split(',')
      .map((key) => key.trim())
      .filter(Boolean),
    retryInfo: head.includes('RetryInfo'),
  };
}
