/** What must be right at the end of a trace of the refusals that each replica remembers. */
import type { Refusal } from '../../src/gen/billing/v1/operator_service.ts';
import { mustBe, pagesOf } from './checks-of-all.ts';
import type { Attempt } from './observations.ts';
import { CALLER, onBehalfOf, type Replicas } from './replicas.ts';
import { Violation } from './runner.ts';
import { TRIAL } from './to-import.ts';

/** So short that there are several pages. */
const PAGE_SIZE = 40;

/**
 * A replica remembers only what it refused: a caller was told so, or does not know the outcome. What callers were told
 * is remembered by one of them, unless a replica was killed or has forgotten some.
 */
export async function checkRefusals(attempts: readonly Attempt[], replicas: Replicas) {
  const byName = Map.groupBy(attempts, nameOf);
  const remembered = new Map<string, number>();
  let isComplete = replicas.kills === 0;
  for (let index = 0; index < replicas.count; index++) {
    const { operator } = (await replicas.at(index)).scrip;
    const all = await pagesOf(async (pageToken) => {
      const page = await operator.listRefusals({ pageSize: PAGE_SIZE, pageToken });
      isComplete &&= page.dropped === 0n;
      return { items: page.refusals, nextPageToken: page.nextPageToken };
    });
    const times = all.map(({ at }) => at?.getTime() ?? 0);
    mustBe(
      'the order of refusals',
      times,
      times.toSorted((a, b) => b - a),
    );
    // Reads have no request id or that of a trial, and lists are refused for accounts that do not exist.
    for (const refusal of all.filter(({ requestId }) => !['', TRIAL].includes(requestId))) {
      checkOne(refusal, byName.get(nameOfRefusal(refusal)) ?? []);
      const key = `${nameOfRefusal(refusal)} ${refusal.reason}`;
      remembered.set(key, (remembered.get(key) ?? 0) + 1);
    }
  }
  if (isComplete) checkAllRemembered(attempts, remembered);
}

function checkOne(refusal: Refusal, attempts: readonly Attempt[]) {
  const { requestId, caller, reason } = refusal;
  const isTold = ({ outcome }: Attempt) =>
    outcome.kind === 'unknown' || (outcome.kind === 'refusal' && outcome.reason === reason);
  if (!attempts.some(isTold))
    throw new Violation(`nobody was told ${reason} of ${nameOfRefusal(refusal)}`);
  mustBe(
    `the caller of ${requestId}`,
    { caller, onBehalfOf: refusal.onBehalfOf },
    { caller: CALLER, onBehalfOf: onBehalfOf(requestId) },
  );
}

function checkAllRemembered(attempts: readonly Attempt[], remembered: ReadonlyMap<string, number>) {
  const told = attempts.flatMap((attempt) =>
    attempt.outcome.kind === 'refusal' ? [`${nameOf(attempt)} ${attempt.outcome.reason}`] : [],
  );
  for (const [key, some] of Map.groupBy(told, (one) => one))
    if (some.length > (remembered.get(key) ?? 0))
      throw new Violation(`${key}: told ${some.length} times, and not remembered`);
}

const nameOf = ({ request: { $case, value } }: Attempt): string =>
  `${$case} ${value.accountId} ${value.requestId}`;

function nameOfRefusal({ method, accountId, requestId }: Refusal): string {
  const name = method.slice(method.lastIndexOf('/') + 1);
  return `${name.charAt(0).toLowerCase()}${name.slice(1)} ${accountId} ${requestId}`;
}
