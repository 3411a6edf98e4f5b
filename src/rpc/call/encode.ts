/**
 * Encodes messages with one writer for all calls: a writer keeps its buffer from message to message,
 * where a new one would allocate and grow another.
 */
import { BinaryWriter } from '@bufbuild/protobuf/wire';

export type Codec<Message> = {
  encode(message: Message, writer?: BinaryWriter): BinaryWriter;
};

let writer = new BinaryWriter();

export function encode<Message>(codec: Codec<Message>, message: Message): Uint8Array {
  try {
    return codec.encode(message, writer).finish();
  } catch (error) {
    // The writer still holds part of the message that could not be encoded.
    writer = new BinaryWriter();
    throw error;
  }
}
