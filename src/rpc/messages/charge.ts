/** Charges, their paths and where their traces can be seen, as messages. */
import { Entry_Kind } from '../../gen/billing/v1/ledger.ts';
import {
  type ChargeCandidate as ChargeCandidateMessage,
  type ChargeKey as ChargeKeyMessage,
  ChargePath_Gap,
  ChargePath_State,
  type ChargePath as ChargePathMessage,
  ChargeStep,
} from '../../gen/billing/v1/operator_service.ts';
import type { Entry, Trace } from '../../ledger/entry.ts';
import type { ChargePath } from '../../queries/charge-path.ts';
import type { ChargeId, ChargeKey, FoundCharge } from '../../queries/found-charges.ts';
import { encodeMessage } from '../call/codec.ts';
import { entryMessage } from './entry.ts';
import { grantMessage } from './grant.ts';
import { optionalInstant } from './time.ts';

/** Where a trace can be seen; empty if nobody says where, or there is none. */
export const traceUrl = (
  template: string | undefined,
  { traceId, spanId }: Pick<Trace, 'traceId' | 'spanId'>,
): string =>
  template && traceId
    ? template.replaceAll('{trace_id}', traceId).replaceAll('{span_id}', spanId)
    : '';

export const chargeKeyMessage = (key: ChargeKey): ChargeKeyMessage => ({
  accountId: key.accountId,
  charge: chargeOf(key),
});

function chargeOf(key: ChargeKey): ChargeKeyMessage['charge'] {
  if ('reservationId' in key) return { $case: 'reservationId', value: key.reservationId };
  if ('purchaseId' in key) return { $case: 'purchaseId', value: key.purchaseId };
  return { $case: 'entrySeq', value: key.seq };
}

export const candidateMessage = (found: FoundCharge): ChargeCandidateMessage => ({
  key: chargeKeyMessage(found.key),
  seq: found.seq,
  kind: Entry_Kind[found.kind],
  at: new Date(found.at),
  caller: found.caller,
  credits: found.credits,
});

export type PathOptions = {
  /** The id by which the path was found. */
  readonly id: ChargeId;
  readonly now: number;
  readonly urlTemplate: string | undefined;
};

export function chargePathMessage(
  { key, steps, grants, state, until, gaps }: ChargePath,
  { id, now, urlTemplate }: PathOptions,
): ChargePathMessage {
  const priced = steps.find(({ entry }) => entry.rateCardVersion !== null);
  const { planId = '', rateCardVersion = null } = (priced ?? steps[0])?.entry ?? {};
  const all = steps.map(
    ({ entry, erased }): ChargeStep => ({
      entry: entryMessage(entry),
      found: hasId(entry, id),
      traceUrl: traceUrl(urlTemplate, entry),
      erased,
    }),
  );
  const sent = firstSteps(all);
  const lacks = new Set(sent.length < all.length ? [...gaps, 'MORE_STEPS' as const] : gaps);
  return {
    key: chargeKeyMessage(key),
    planId,
    rateCardVersion: BigInt(rateCardVersion ?? 0),
    steps: sent,
    grants: grants.map((grant) => grantMessage(grant, now)),
    state: ChargePath_State[state],
    until: optionalInstant(until),
    gaps: Array.from(lacks, (gap) => ChargePath_Gap[gap]),
    complete: state === 'ENDED' && lacks.size === 0,
  };
}

/** Steps with many usages are large, and clients refuse messages above 4 MB by default. */
const STEPS_BYTES_MAX = 2 * 1024 * 1024;

function firstSteps(steps: ChargeStep[]): ChargeStep[] {
  let bytes = 0;
  const tooLarge = steps.findIndex((step) => {
    bytes += encodeMessage(ChargeStep, step).length;
    return bytes > STEPS_BYTES_MAX;
  });
  return tooLarge < 0 ? steps : steps.slice(0, Math.max(1, tooLarge));
}

const hasId = (entry: Entry, { kind, value }: ChargeId): boolean =>
  entry[kind]?.toString() === value;
