/**
 * Encodes the messages of the streams that readers resume: StreamHistoryResponse and
 * StreamEventsResponse. Both carry items in field 1 and, in field 2, where to resume after the message.
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { Failure } from '../../failure.ts';
import { type Codec, encodeMessage } from './codec.ts';

/** The database lost what a reader has: a standby that lacked it was promoted, or a backup was restored. */
export const positionLost = (
  after: bigint | string,
  newest: bigint | string,
  what: string,
): Failure => new Failure('POSITION_LOST', `${what}; the newest is ${newest}`, { after, newest });

const ITEMS_FIELD = 1;
export const RESUME_AFTER_FIELD = 2;

/** A message ends once its items have this size: clients refuse messages above 4 MB by default. */
const MESSAGE_BYTES = 512 * 1024;

/** A response, and the item after which it resumes; null: where the reading ended. */
export type StreamPage<Item> = { readonly bytes: Uint8Array; readonly last: Item | null };

/**
 * The responses that carry `items`: one, or several if the items are large. `writeResumeAfter` writes field 2
 * of a response: for the last one without an item, since it resumes where the reading ended.
 */
export function* encodeStreamPages<Item, Message>(
  items: readonly Item[],
  codec: Codec<Message>,
  toMessage: (item: Item) => Message,
  writeResumeAfter: (writer: BinaryWriter, last: Item | null) => BinaryWriter,
): Generator<StreamPage<Item>> {
  // Each item is encoded once, to know its size and to be sent.
  let writer = new BinaryWriter();
  let bytes = 0;
  for (const [index, item] of items.entries()) {
    const encoded = encodeMessage(codec, toMessage(item));
    writer.tag(ITEMS_FIELD, WireType.LengthDelimited).bytes(encoded);
    bytes += encoded.length;
    if (bytes < MESSAGE_BYTES || index === items.length - 1) continue;
    yield { bytes: writeResumeAfter(writer, item).finish(), last: item };
    writer = new BinaryWriter();
    bytes = 0;
  }
  yield { bytes: writeResumeAfter(writer, null).finish(), last: null };
}
