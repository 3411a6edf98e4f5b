import type { BinaryWriter } from '@bufbuild/protobuf/wire';

/** The generated code of a message, as far as it encodes. */
export type Codec<Message> = {
  encode(message: Message, writer?: BinaryWriter): BinaryWriter;
};
