/**
 * Encodes the messages of the streams that readers resume: StreamHistoryResponse and
 * StreamEventsResponse. Both carry items in field 1 and, in field 2, where to resume after the message.
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

const ITEMS_FIELD = 1;
const RESUME_AFTER_FIELD = 2;

/** A message ends once its items have this size: clients refuse messages above 4 MB by default. */
const MESSAGE_BYTES = 512 * 1024;

/**
 * The responses that carry `items`: one, or several if the items are large. Each item is encoded
 * once, to know its size and to be sent. The last response resumes after `until`, up to where was read.
 */
export function* encodeStreamPages<Item>(
  items: readonly Item[],
  until: bigint,
  encodeItem: (item: Item) => Uint8Array,
  placeOf: (item: Item) => bigint,
): Generator<Uint8Array> {
  let writer = new BinaryWriter();
  let bytes = 0;
  for (const [index, item] of items.entries()) {
    const encoded = encodeItem(item);
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
