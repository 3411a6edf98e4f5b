/** Makes corrections by calls of the service: a refund of the difference, or a charge of it. */
import { status } from '@grpc/grpc-js';
import { type Scrip, ScripError } from '../../client.ts';
import { forEachConcurrently } from '../../for-each-concurrently.ts';
import { mapOf } from '../../map-of.ts';
import { correctionId } from '../../rerate/correction.ts';
import type { RatedCharge } from '../../rerate/rerate.ts';
import { deadline, untilAdmitted } from '../service-call.ts';

/** What became of a charge, in words. */
export type Outcome = RatedCharge & { readonly state: string };

/** Charges that are corrected before they are listed, and calls at the same time. */
const GROUP_SIZE = 64;
const CALLS_MAX = 8;

/** Yields each charge when it is corrected, in their order. A call that fails for its account's sake stops none of the others. */
export async function* applyCorrections(
  scrip: Scrip,
  charges: AsyncIterable<RatedCharge>,
  version: number,
  reason: string,
): AsyncGenerator<Outcome, void, void> {
  let group: RatedCharge[] = [];
  for await (const rated of charges) {
    group.push(rated);
    if (group.length < GROUP_SIZE) continue;
    yield* await applyGroup(scrip, group, version, reason);
    group = [];
  }
  yield* await applyGroup(scrip, group, version, reason);
}

async function applyGroup(
  scrip: Scrip,
  group: readonly RatedCharge[],
  version: number,
  reason: string,
): Promise<readonly Outcome[]> {
  const states: string[] = [];
  const failures: unknown[] = [];
  await forEachConcurrently(group.entries(), CALLS_MAX, null, async ([index, rated]) => {
    if (failures.length > 0) return;
    try {
      states[index] = await correct(scrip, rated, version, reason);
    } catch (error) {
      failures.push(error);
    }
  });
  if (failures.length > 0) throw failures[0];
  return group.map((rated, index) => ({ ...rated, state: states[index] ?? '' }));
}

async function correct(
  { billing }: Scrip,
  { charge, correction }: RatedCharge,
  version: number,
  reason: string,
): Promise<string> {
  const { accountId, seq } = charge;
  const named = { accountId, requestId: correctionId(charge, version) };
  const difference = correction.shouldCost - correction.charged;
  try {
    switch (correction.state) {
      case 'refund':
        await untilAdmitted(() =>
          billing.refund({ ...named, seq, credits: -difference, reason }, deadline()),
        );
        return 'refunded';
      case 'charge':
        await untilAdmitted(() =>
          billing.charge(
            {
              ...named,
              credits: difference,
              reference: `rerate of entry ${seq}`,
              labels: mapOf(charge.labels),
            },
            deadline(),
          ),
        );
        return 'charged';
      default:
        return correction.state;
    }
  } catch (error) {
    if (error instanceof ScripError && isOfAccount(error)) return error.reason;
    throw error;
  }
}

/** Not enough credits, closed, suspended, and the like: others can still be corrected. */
const isOfAccount = ({ code, reason }: ScripError): boolean =>
  code === status.FAILED_PRECONDITION || reason === 'REQUEST_ID_REUSED';
