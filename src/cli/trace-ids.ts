/** What an id can be, by its form. */
import type { TraceChargeRequest } from '../gen/billing/v1/operator_service.ts';

export const ID_KINDS = [
  'trace',
  'reservation',
  'purchase',
  'request',
  'reference',
  'entry',
] as const;
export type IdKind = (typeof ID_KINDS)[number];

/** An id as one of the kinds that it can be. */
export type AskedId = {
  readonly kind: IdKind;
  readonly accountId: string;
  readonly id: NonNullable<TraceChargeRequest['id']>;
};

const TRACE = /^(?!0{32})[0-9a-f]{32}$/i;
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/i;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const REQUEST = /^[\x20-\x7e]{1,128}$/;
const REFERENCE = /^\P{Cc}{1,256}$/u;
const ACCOUNT = /^[\x21-\x7e]{1,128}$/;
const SEQ = /^[1-9]\d{0,17}$/;

/** The trace id, of itself or of a traceparent. Undefined: it is neither. */
export function traceIdOf(text: string): string | undefined {
  const value = TRACEPARENT.exec(text)?.[1] ?? text;
  return TRACE.test(value) ? value.toLowerCase() : undefined;
}

type Read = Omit<AskedId, 'kind'>;

/** Every kind that the text can be, or only `kind`. Empty: it cannot be that. */
export function possibleIds(
  text: string,
  accountId: string,
  kind: IdKind | undefined,
): readonly AskedId[] {
  return (kind === undefined ? ID_KINDS : [kind]).flatMap((one) => {
    const read = READERS[one](text, accountId);
    return read ? [{ ...read, kind: one }] : [];
  });
}

const READERS: Readonly<Record<IdKind, (text: string, accountId: string) => Read | null>> = {
  trace(text, accountId) {
    const value = traceIdOf(text);
    return value ? { accountId, id: { $case: 'traceId', value } } : null;
  },
  reservation: (value, accountId) =>
    UUID.test(value) ? { accountId, id: { $case: 'reservationId', value } } : null,
  purchase: (value, accountId) =>
    UUID.test(value) ? { accountId, id: { $case: 'purchaseId', value } } : null,
  request: (value, accountId) =>
    REQUEST.test(value) ? { accountId, id: { $case: 'requestId', value } } : null,
  reference: (value, accountId) =>
    REFERENCE.test(value) ? { accountId, id: { $case: 'reference', value } } : null,
  entry(text, ofAccount) {
    // Ids of accounts can have slashes.
    const slash = text.lastIndexOf('/');
    const accountId = slash < 0 ? ofAccount : text.slice(0, slash);
    const seq = text.slice(slash + 1);
    const isOther = ofAccount !== '' && ofAccount !== accountId;
    if (!ACCOUNT.test(accountId) || !SEQ.test(seq) || isOther) return null;
    return { accountId, id: { $case: 'entrySeq', value: BigInt(seq) } };
  },
};
