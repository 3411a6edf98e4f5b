/** An atomic batch in shadow mode: where one of its requests would have been refused, all would have been. */
import { decide } from './decide.ts';
import type { Deciding } from './deciding.ts';
import { Refusal } from './refusal.ts';
import type { First, Request } from './requests.ts';
import type { ModelDecision } from './shadow-state.ts';
import type { AccountState } from './state.ts';

export type BatchPart = { readonly request: Request; readonly deciding: Deciding };

export type DecidedBatch = {
  readonly state: AccountState;
  /** One for each part. */
  readonly responses: readonly First[];
  readonly decided: readonly ModelDecision[];
};

/** `state` is settled, and not changed. A Refusal is that of a part: then nothing took effect. */
export function decideBatchInShadow(
  state: AccountState,
  parts: readonly BatchPart[],
): DecidedBatch | Refusal {
  const allowed = decideAll(state, parts);
  if (allowed instanceof Refusal) return allowed;
  const refused = allowed.decided.find(({ refusedBecause }) => refusedBecause !== '');
  if (!refused) return allowed;
  const own = new Refusal(refused.refusedBecause, Object.fromEntries(refused.refusalMetadata));
  const index = parts.findIndex(({ request }) => request.value.requestId === refused.requestId);
  const ofOthers = new Refusal('BATCH_REFUSED', { index: BigInt(index), refusal: own.reason });
  return decideAll(
    state,
    parts.map(({ request, deciding }, other) => ({
      request,
      deciding: { ...deciding, refusedWith: other === index ? own : ofOthers },
    })),
  );
}

function decideAll(before: AccountState, parts: readonly BatchPart[]): DecidedBatch | Refusal {
  const state = before.copy();
  const responses: First[] = [];
  const decided: ModelDecision[] = [];
  for (const { request, deciding } of parts) {
    const response = decide(state, request, deciding);
    if (response instanceof Refusal) return response;
    responses.push(response);
    decided.push(...state.decided);
  }
  return { state, responses, decided };
}
