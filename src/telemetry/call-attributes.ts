/** What the span and the line of log of a call say of it, under the same names. */
import type { CallRecord } from './call-record.ts';
import type { AttributesOf } from './spans.ts';
import type { Phase } from './unit-record.ts';

const known = (text: string): string | undefined => (text === '' ? undefined : text);

export const toSeconds = (ms: number): number => Math.round(ms * 1_000) / 1e6;

/** Without what is known at the start of the span: the method and the addresses. */
export const attributesOfCall = (call: CallRecord): AttributesOf<'rpc'> => ({
  'rpc.method_original': known(call.methodOriginal),
  ...outcomeOf(call),
  ...(call.mutations > 0 && {
    'scrip.batch.mutations': call.mutations,
    'scrip.batch.refused': call.refused,
  }),
});

/** Of one mutation of a Batch. */
export const attributesOfMutation = (call: CallRecord): AttributesOf<'mutation'> => ({
  'scrip.mutation': call.mutation,
  ...outcomeOf(call),
});

/** What calls and mutations of a Batch have in common. */
type Outcome = AttributesOf<'rpc'> & AttributesOf<'mutation'>;

function outcomeOf(call: CallRecord): Outcome {
  return {
    'rpc.status_code': call.status,
    'scrip.caller': call.caller,
    'scrip.on_behalf_of': known(call.onBehalfOf),
    'scrip.account.id': known(call.accountId),
    'scrip.request.id': known(call.requestId),
    'scrip.reservation.id': known(call.reservationId),
    'scrip.purchase.id': known(call.purchaseId),
    'scrip.plan.id': known(call.planId),
    'scrip.operation': known(call.operation),
    'scrip.reason': call.failure?.reason,
    ...effectOf(call),
    ...timesOf(call),
  };
}

/** A call that has failed has none, whatever was decided before. */
function effectOf(call: CallRecord): Outcome {
  const { failure, credits, seq, replayed } = call;
  if (failure) return { 'scrip.credits': askedCredits(failure.metadata, call.askedCredits) };
  return {
    'scrip.credits': credits === null ? undefined : Number(credits),
    'scrip.entry.seq': seq === null ? undefined : Number(seq),
    'scrip.replayed': replayed || undefined,
  };
}

/** The credits that a call wanted which has failed: what it was priced at, or what its request says. */
function askedCredits(
  metadata: Readonly<Record<string, string>>,
  requested: bigint | null,
): number | undefined {
  const credits = metadata['required'] ?? metadata['asked'] ?? requested;
  return credits === null ? undefined : Number(credits);
}

/** Of the calls that waited for a lane. */
function timesOf({ deferrals, laneWaitMs, units }: CallRecord): Outcome | null {
  if (units.length === 0) return null;
  const seconds = (phase: Phase) => toSeconds(units.reduce((sum, unit) => sum + unit[phase], 0));
  return {
    'scrip.deferrals': deferrals || undefined,
    'scrip.lane.wait': toSeconds(laneWaitMs),
    'scrip.unit.connect': seconds('connectMs'),
    'scrip.unit.lock_load': seconds('lockLoadMs'),
    'scrip.unit.decide': seconds('decideMs'),
    'scrip.unit.save_commit': seconds('saveCommitMs'),
  };
}
