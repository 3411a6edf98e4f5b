import { BinaryWriter } from '@bufbuild/protobuf/wire';

/** The generated code of a message, as far as it encodes. */
export type Codec<Message> = {
  encode(message: Message, writer?: BinaryWriter): BinaryWriter;
};

/** Used for one message after the other: each new writer would allocate a buffer. */
const writer = new BinaryWriter();

export function encodeMessage<Message>(codec: Codec<Message>, message: Message): Uint8Array {
  try {
    return codec.encode(message, writer).finish();
  } catch (error) {
    // Empties it: the next message must not begin with what was written of this one.
    writer.finish();
    throw error;
  }
}
