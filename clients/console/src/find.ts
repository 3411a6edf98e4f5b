/** What an id can be, and everything that the service finds by it. */
import { ApiError, call } from './api.ts';
import type { Account, ChargeCandidate, ChargePath, TraceChargeRequest } from './messages.ts';

export const ID_KINDS = [
  'trace',
  'reservation',
  'purchase',
  'request',
  'reference',
  'entry',
] as const;
export type IdKind = (typeof ID_KINDS)[number];

const TRACE = /^(?!0{32})[0-9a-f]{32}$/i;
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/i;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const REQUEST = /^[\x20-\x7e]{1,128}$/;
const REFERENCE = /^\P{Cc}{1,256}$/u;
const ACCOUNT = /^[\x21-\x7e]{1,128}$/;
const SEQ = /^[1-9]\d{0,17}$/;

type Asked = Pick<
  TraceChargeRequest,
  'accountId' | 'traceId' | 'reservationId' | 'purchaseId' | 'requestId' | 'reference' | 'entrySeq'
>;

const READERS: Readonly<Record<IdKind, (text: string) => Asked | null>> = {
  trace(text) {
    const id = TRACEPARENT.exec(text)?.[1] ?? text;
    return TRACE.test(id) ? { traceId: id.toLowerCase() } : null;
  },
  reservation: (id) => (UUID.test(id) ? { reservationId: id } : null),
  purchase: (id) => (UUID.test(id) ? { purchaseId: id } : null),
  request: (id) => (REQUEST.test(id) ? { requestId: id } : null),
  reference: (text) => (REFERENCE.test(text) ? { reference: text } : null),
  entry(text) {
    // Ids of accounts can have slashes.
    const slash = text.lastIndexOf('/');
    const accountId = text.slice(0, Math.max(0, slash));
    const entrySeq = text.slice(slash + 1);
    return ACCOUNT.test(accountId) && SEQ.test(entrySeq) ? { accountId, entrySeq } : null;
  },
};

/** The request that asks for the id as this kind. Null: it has another form. */
export function requestOf(kind: IdKind, id: string, accountId: string): Asked | null {
  const asked = READERS[kind](id);
  return asked && { ...(accountId && { accountId }), ...asked };
}

export const isIdKind = (text: string): text is IdKind =>
  (ID_KINDS as readonly string[]).includes(text);

export type Found = {
  readonly accounts: readonly Account[];
  readonly paths: readonly { readonly kind: IdKind; readonly path: ChargePath }[];
  readonly candidates: readonly { readonly kind: IdKind; readonly candidate: ChargeCandidate }[];
  /** There is more than is shown. */
  readonly hasMore: boolean;
  /** More entries have the id than the service looks at. */
  readonly truncated: boolean;
  /** Kinds that were looked for, for people. */
  readonly asked: readonly string[];
  /** Why something could not be looked for. */
  readonly errors: readonly ApiError[];
};

const PAGE_SIZE = 20;

/** Asks for the id as everything that it can be: one that fails does not hide the others. */
export async function findAll(
  id: string,
  may: (method: string) => boolean,
  signal: AbortSignal,
): Promise<Found> {
  const errors: ApiError[] = [];
  /** What is not found, and what this account or person may not see, is no error. */
  const orNone = async <T>(asking: Promise<T>): Promise<T | null> => {
    try {
      return await asking;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!error.reason.endsWith('_NOT_FOUND')) errors.push(error);
      return null;
    }
  };
  const kinds = may('TraceCharge') ? ID_KINDS : [];
  const asked = kinds.flatMap((kind) => {
    const request = requestOf(kind, id, '');
    return request ? [{ kind, request }] : [];
  });
  const account = ACCOUNT.test(id)
    ? orNone(call('GetAccount', { accountId: id }, signal))
    : Promise.resolve(null);
  const answers = asked.map(async ({ kind, request }) => ({
    kind,
    answer: await orNone(call('TraceCharge', { ...request, pageSize: PAGE_SIZE }, signal)),
  }));
  const found = await Promise.all(answers);
  const accounts = [(await account)?.account].filter((one) => one !== undefined);
  const paths = new Map<string, { kind: IdKind; path: ChargePath }>();
  for (const { kind, answer } of found)
    for (const path of answer?.paths ?? []) {
      const key = JSON.stringify(path.key);
      if (!paths.has(key)) paths.set(key, { kind, path });
    }
  return {
    accounts,
    paths: [...paths.values()],
    candidates: found.flatMap(({ kind, answer }) =>
      (answer?.candidates ?? []).map((candidate) => ({ kind, candidate })),
    ),
    hasMore: found.some(({ answer }) => Boolean(answer?.nextPageToken)),
    truncated: found.some(({ answer }) => answer?.truncated === true),
    asked: [...(ACCOUNT.test(id) ? ['account'] : []), ...asked.map(({ kind }) => kind)],
    errors,
  };
}
