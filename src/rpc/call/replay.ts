/** How a repeated response is marked: the bytes of the first one, followed by the field `replay`. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { Replay } from '../../gen/billing/v1/ledger.ts';
import type { StoredResponse } from '../../lanes/task.ts';
import type { Answered } from './handlers.ts';

/** Number of the field `replay` in the response to every mutation. */
export const REPLAY_FIELD = 100;

/** The bytes of a response as they are sent. */
export function toResponse({ response, firstAnsweredAt }: StoredResponse): Uint8Array {
  if (firstAnsweredAt === null) return response;
  const replay = Replay.encode({ firstAnsweredAt: new Date(firstAnsweredAt) }).finish();
  return new BinaryWriter()
    .raw(response)
    .tag(REPLAY_FIELD, WireType.LengthDelimited)
    .bytes(replay)
    .finish();
}

export const toAnswered = (answer: StoredResponse): Answered<never> => ({
  response: toResponse(answer),
  replayed: answer.firstAnsweredAt !== null,
});
