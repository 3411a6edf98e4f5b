/** The table of requests that were answered. */
import { bytea, instant, text } from '../../pg/column.ts';
import { defineTable, type Values } from '../../pg/table.ts';

const columns = {
  accountId: text('key'),
  requestId: text('key', "the caller's idempotency key"),
  method: text('key', 'e.g. "Reserve"'),
  fingerprint: bytea('inserted', "SHA-256 of the request's content"),
  response: bytea('inserted', 'the first response, protobuf-encoded: a replay gets it again'),
  at: instant('inserted'),
};

/** A request that was answered, and its response. */
export type AnsweredRequest = Readonly<Values<typeof columns>>;

export const requests = defineTable({
  name: 'requests',
  comment: 'Answered requests by their request id, so that every mutation is safe to repeat.',
  columns,
  privileges: 'select, insert',
});
