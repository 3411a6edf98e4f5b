/**
 * Encodes the messages of the streams that readers resume: StreamHistoryResponse and
 * StreamEventsResponse. Both carry items in field 1 and, in field 2, where to resume after the message.
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { Codec } from './codec.ts';

const ITEMS_FIELD = 1;
const RESUME_AFTER_FIELD = 2;

/** A message ends once its items have this size: clients refuse messages above 4 MB by default. */
const MESSAGE_BYTES = 512 * 1024;

/**
 * The responses that carry `items`: one, or several if the items are large. The last one resumes
 * after `until`, up to where the items were read.
 */
export function* encodeStreamPages<Item, Message>(
  items: readonly Item[],
  until: bigint,
  codec: Codec<Message>,
  toMessage: (item: Item) => Message,
  placeOf: (item: Item) => bigint,
): Generator<Uint8Array> {
  // Each item is encoded once, to know its size and to be sent.
  const itemWriter = new BinaryWriter();
  let writer = new BinaryWriter();
  let bytes = 0;
  for (const [index, item] of items.entries()) {
    const encoded = codec.encode(toMessage(item), itemWriter).finish();
    writer.tag(ITEMS_FIELD, WireType.LengthDelimited).bytes(encoded);
    bytes += encoded.length;
    if (bytes < MESSAGE_BYTES || index === items.length - 1) continue;
    yield finish(writer, placeOf(item));
    writer = new BinaryWriter();
    bytes = 0;
  }
  yield finish(writer, until);
}

const finish = (writer: BinaryWriter, resumeAfter: bigint): Uint8Array =>
  writer.tag(RESUME_AFTER_FIELD, WireType.Varint).int64(resumeAfter).finish();
