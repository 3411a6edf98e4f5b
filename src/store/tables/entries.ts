/** The table of entries. Their JSON columns are written as src/ledger/hash-chain.ts has hashed them. */
import type { Entry, EntryKind, Labels, Method, StoredEntry } from '../../ledger/entry.ts';
import { readContent, type StoredContent } from '../../ledger/entry-content.ts';
import type { SealedEntry } from '../../ledger/hash-chain.ts';
import { bigint, bytea, code, hex, instant, int, jsonText, text, uuid } from '../../pg/column.ts';
import { defineTable, type Row, type Values } from '../../pg/table.ts';
import { KIND_CODES, METHOD_CODES } from './codes.ts';
import { requestIdToBytes, requestIdToText } from './request-id.ts';

/** Labels, and single texts by their names. */
type StoredPersonal = { readonly labels?: Labels } & Readonly<Record<string, string | Labels>>;

/** Fixed-width columns come first, widest first: no byte is lost to alignment. */
const columns = {
  accountId: text('key'),
  seq: bigint('key', '1, 2, 3 … within the account, without gaps'),
  at: instant('inserted', 'never before the entry before it'),
  credits: bigint('inserted', 'what it is about: granted, reserved, committed, …'),
  remainingAfter: bigint('inserted', 'of the account, as are the next two'),
  reservedAfter: bigint('inserted'),
  overageAfter: bigint('inserted', 'null: 0').nullIs(0n),
  refundedSeq: bigint(
    'inserted',
    'of a REFUND: the commit or charge that it gives back',
  ).nullable(),
  grantId: bigint('inserted', 'the grant that it made or changed').nullable(),
  planVersion: int('inserted', 'of the plan: see plan_versions'),
  rateCardVersion: int('inserted', 'of the plan, where a price is concerned').nullable(),
  kind: code<EntryKind>(KIND_CODES)('inserted', 'a number; the view history spells it'),
  method: code<Method>(METHOD_CODES)(
    'inserted',
    'of the request, a number as well; null: no request, or not its first entry',
  )
    .nullable()
    .from(({ request }: SealedEntry) => request?.method ?? null),
  reservationId: uuid('inserted').nullable(),
  purchaseId: uuid('inserted').nullable(),
  planId: text('inserted', 'whose terms and prices applied; of a PLAN_CHANGE: the new plan'),
  previousPlanId: text('inserted', 'of a PLAN_CHANGE').nullable(),
  caller: text('inserted', '"scrip" for what the service does by itself'),
  requestId: bytea('inserted', 'see request_id_to_text; null for what the service does by itself')
    .as(requestIdToText, requestIdToBytes)
    .nullIs(''),
  traceId: uuid('inserted', 'W3C trace id')
    .as(
      (id) => id.replaceAll('-', ''),
      (id) => id,
    )
    .nullIs(''),
  spanId: hex('inserted').nullIs(''),
  content: jsonText<StoredContent>(
    'inserted',
    'moves, usages and more: see the view history',
  ).fromText((entry: SealedEntry) => entry.contentJson),
  hash: bytea('inserted', 'SHA-256 over the row and the hash of the entry before it'),
  fingerprint: bytea('inserted', 'with a method: hash of what the request asked for')
    .nullable()
    .from(({ request }: SealedEntry) => request?.fingerprint ?? null),
  response: bytea('inserted', 'with a method: protobuf-encoded, packed; a replay gets it again')
    .nullable()
    .from(({ request }: SealedEntry) => request?.response ?? null),
  reference: text('inserted', "the caller's name for the job; null: none").nullIs(''),
  personal: jsonText<StoredPersonal>('inserted', 'labels and other personal data; null: none')
    .fromText((entry: SealedEntry) => entry.personalJson as string)
    .nullable(),
  salt: bytea(
    'inserted',
    'hashed with personal data and the request; null: there are none, or erased',
  ).nullable(),
  erasedHash: bytea(
    'inserted',
    'the personal_hash of what was erased; null: nothing was',
  ).nullable(),
};

export const entries = defineTable({
  name: 'entries',
  comment:
    'The history of accounts: immutable rows in a hash chain; credits move from bucket to bucket. ' +
    'The view history spells them. Personal data can be erased: see erase_entry.',
  columns,
  toDomain: toStoredEntry,
  checks: {
    entries_seq_check: 'seq > 0',
    entries_after_check: [
      'credits >= 0',
      'remaining_after >= 0',
      'reserved_after >= 0',
      'overage_after >= 0',
    ],
    entries_kind_check: ['kind >= 1', `kind <= ${Math.max(...Object.values(KIND_CODES))}`],
    entries_request_check: [
      'method >= 1',
      `method <= ${Math.max(...Object.values(METHOD_CODES))}`,
      '(method is null or request_id is not null)',
    ],
    entries_plan_change_check: `(kind = ${KIND_CODES.PLAN_CHANGE}) = (previous_plan_id is not null)`,
    entries_erased_check:
      'erased_hash is null or num_nonnulls(fingerprint, response, reference, personal, salt) = 0',
  },
  indexes: {
    entries_request: {
      on: ['requestId', 'accountId', 'method'],
      where: 'method is not null',
      unique: true,
    },
    entries_by_reservation: { on: ['reservationId'], where: 'reservation_id is not null' },
    entries_by_purchase: { on: ['purchaseId'], where: 'purchase_id is not null' },
    entries_by_trace: { on: ['traceId'], where: 'trace_id is not null' },
    entries_by_reference: { on: ['reference'], where: 'reference is not null' },
    entries_by_refunded: {
      on: ['accountId', 'refundedSeq'],
      where: 'refunded_seq is not null',
    },
  },
  privileges: 'select, insert',
  unanalyzed: ['content', 'hash', 'fingerprint', 'response', 'personal', 'salt', 'erasedHash'],
});

type EntryValues = Values<typeof columns>;
type ShownField = Exclude<keyof EntryValues, 'fingerprint' | 'response' | 'salt' | 'erasedHash'>;

const shown = entries.pick(
  ...(Object.keys(columns) as ShownField[]).filter(
    (field) => !['fingerprint', 'response', 'salt', 'erasedHash'].includes(field),
  ),
);

/** What is shown of entries: all but what replays and the audit need. */
export const shownEntries = {
  selectList: shown.selectList,
  read: (row: Row): Entry => toEntry(shown.read(row)),
};

function toEntry({
  content,
  personal,
  method: _,
  ...values
}: Pick<EntryValues, ShownField>): Entry {
  const { labels = {}, on_behalf_of: onBehalfOf = '', ...others } = personal ?? {};
  return {
    ...values,
    ...readContent(content, values.kind),
    onBehalfOf: onBehalfOf as string,
    labels: labels as Labels,
    personal: others as Labels,
  };
}

function toStoredEntry({
  fingerprint,
  response,
  salt,
  erasedHash,
  ...values
}: EntryValues): StoredEntry {
  const { method } = values;
  return {
    ...toEntry(values),
    request: method === null ? null : { method, fingerprint, response },
    salt,
    erasedHash,
  };
}
