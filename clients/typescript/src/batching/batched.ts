/** Automatic batching: mutations of one connection that are made at the same time share calls. */
import type { Attempt, AttemptOptions } from '../attempt.ts';
import { contentOf } from './batched-mutation.ts';
import { Lane } from './lane.ts';

/** Lanes that are kept in any case. With more, the idle ones are dropped. */
const LANES_KEPT = 100;

/**
 * An attempt that sends a mutation at once if nothing is in flight, and otherwise together with others. It ends
 * as it would have alone: with the same response or the same error, at its own deadline. Other calls go as they
 * are.
 */
export function batched(attempt: Attempt): Attempt {
  /** By the request metadata: calls with different ones cannot share a Batch. */
  const lanes = new Map<string, Lane>();
  const laneOf = (metadata: AttemptOptions['metadata']): Lane => {
    const key = keyOf(metadata);
    const known = lanes.get(key);
    if (known) return known;
    if (lanes.size >= LANES_KEPT)
      for (const [other, lane] of lanes) if (lane.isIdle) lanes.delete(other);
    const lane = new Lane(attempt, metadata?.clone());
    lanes.set(key, lane);
    return lane;
  };
  return <Request, Response>(
    ...[route, request, options]: Parameters<typeof attempt<Request, Response>>
  ): Promise<Response> => {
    const content = contentOf(route.name, request);
    const sendAlone = () => attempt(route, request, options);
    if (content === null) return sendAlone();
    const mutation = { content, options, sendAlone } as Parameters<Lane['send']>[0];
    return laneOf(options.metadata).send(mutation) as Promise<Response>;
  };
}

function keyOf(metadata: AttemptOptions['metadata']): string {
  const entries = Object.entries(metadata?.toJSON() ?? {});
  if (entries.length === 0) return '';
  return JSON.stringify(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
}
