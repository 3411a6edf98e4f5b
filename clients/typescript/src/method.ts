/** The methods of the services, as ts-proto describes them. */
import type { BinaryWriter } from '@bufbuild/protobuf/wire';

/** A generated message: how it is encoded, decoded and completed. */
export type MessageType<Message> = {
  encode(message: Message, writer?: BinaryWriter): BinaryWriter;
  decode(input: Uint8Array, length?: number): Message;
  toJSON(message: Message): unknown;
  fromPartial(partial: DeepPartial<Message>): Message;
};

/** A request with only the fields that are needed. A number or a decimal text stands for a bigint. */
export type DeepPartial<T> = T extends bigint
  ? bigint | number | string
  : T extends Date | Uint8Array | string | number | boolean | undefined
    ? T
    : T extends readonly (infer Item)[]
      ? readonly DeepPartial<Item>[]
      : T extends { $case: string; value: unknown }
        ? { $case: T['$case']; value?: DeepPartial<T['value']> }
        : { [K in keyof T]?: DeepPartial<T[K]> };

export type Method<Request, Response> = {
  /** Such as "Charge". */
  readonly name: string;
  readonly requestType: MessageType<Request>;
  readonly responseType: MessageType<Response>;
  readonly responseStream: boolean;
  readonly options: { readonly idempotencyLevel?: string };
};

/** A method with its path, such as "/billing.v1.BillingService/Charge". */
export type Route<Request, Response> = Method<Request, Response> & { readonly path: string };

export type ServiceDefinition = {
  readonly fullName: string;
  // biome-ignore lint/suspicious/noExplicitAny: methods of any messages
  readonly methods: Readonly<Record<string, Method<any, any>>>;
};
