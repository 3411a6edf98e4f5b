/** The events of all accounts, as an iterator that loses nothing and repeats nothing. */
import type { CallOptions } from './call-options.ts';
import type {
  Event,
  StreamEventsRequest,
  StreamEventsResponse,
} from './gen/billing/v1/event_service.ts';
import { defined, type FollowOptions, timeoutOf } from './history.ts';
import type { DeepPartial } from './method.ts';
import { reopened } from './reopened.ts';

export type FollowEventsOptions = FollowOptions &
  Omit<DeepPartial<StreamEventsRequest>, 'afterToken' | 'follow'> & {
    /** Only events after the one that this token came with. Default: from the first event. */
    readonly afterToken?: string;
  };

/** An event, and the token that resumes directly after it, on any replica, with the same or other filters. */
export type FollowedEvent = { readonly event: Event; readonly token: string };

type OpenEvents = (
  request: DeepPartial<StreamEventsRequest>,
  options: CallOptions,
) => AsyncIterable<StreamEventsResponse>;

/** The service resumes after a message. Within one, the position of the last event tells what to skip. */
const SEPARATOR = '@';
const tokenOf = (messageToken: string, position: bigint) =>
  `${messageToken}${SEPARATOR}${position}`;

function readToken(token: string): { readonly messageToken: string; readonly position: bigint } {
  const [, messageToken, position] = /^(.*)@(\d+)$/.exec(token) ?? [];
  return messageToken === undefined || position === undefined
    ? { messageToken: token, position: 0n }
    : { messageToken, position: BigInt(position) };
}

/** Events in the order of their positions, each once. `follow` is true by default. */
export async function* followEvents(
  streamEvents: OpenEvents,
  options: FollowEventsOptions,
): AsyncGenerator<FollowedEvent, void, void> {
  const {
    afterToken = '',
    follow = true,
    signal,
    metadata,
    traceparent,
    timeoutMs,
    ...filters
  } = options;
  let { messageToken, position } = readToken(afterToken);
  const callOptions = defined({ signal, metadata, traceparent });
  const open = () => streamEvents({ ...filters, follow, afterToken: messageToken }, callOptions);
  const limits = { follow, signal, timeoutMs: timeoutOf({ follow, ...defined({ timeoutMs }) }) };
  for await (const { events, nextToken } of reopened(open, limits)) {
    for (const event of events) {
      if (event.position <= position) continue;
      position = event.position;
      yield { event, token: tokenOf(messageToken, position) };
    }
    messageToken = nextToken;
  }
}
