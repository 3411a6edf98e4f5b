/** What a request names, for the record of its call. */
import type { CallRecord } from '../../telemetry/call-record.ts';
import { shorten } from './shorten.ts';

/** Fields that many requests have, by these names. */
type Naming = {
  readonly accountId?: unknown;
  readonly requestId?: unknown;
  readonly reservationId?: unknown;
  readonly purchaseId?: unknown;
  readonly credits?: unknown;
  readonly of?: { readonly $case: string; readonly value: unknown };
};

/** What the call has found out by itself stays: the request may not have been checked. */
export function recordRequest(record: CallRecord, request: Naming) {
  record.accountId ||= textOf(request.accountId ?? accountOf(request));
  record.requestId ||= textOf(request.requestId);
  record.reservationId ||= textOf(request.reservationId);
  record.purchaseId ||= textOf(request.purchaseId);
  if (typeof request.credits === 'bigint') record.askedCredits = request.credits;
}

const accountOf = ({ of }: Naming): unknown => (of?.$case === 'accountId' ? of.value : '');

const textOf = (value: unknown): string => (typeof value === 'string' ? shorten(value) : '');
