/** JSON of Protocol Buffers to gRPC and back, for every method that is offered. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type DescMessage,
  type FileRegistry,
  fromBinary,
  fromJson,
  type JsonValue,
  type Message,
  toBinary,
  toJson,
} from '@bufbuild/protobuf';
import {
  Client,
  type ClientOptions,
  credentials,
  type Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import pLimit from 'p-limit';
import { ConsoleError } from './console-error.ts';
import type { OfferedMethod } from './offered-methods.ts';

/** Below the time limit of the admin port for an answer. */
const DEADLINE_MS = 8_000;

/**
 * A message of a stream can have 500 entries, and turning it into JSON keeps everybody else waiting. So few are
 * read at the same time, however many ask.
 */
const STREAMS_MAX = 4;

const CHANNEL: ClientOptions = {
  'grpc.default_authority': 'localhost',
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_channelz': 0,
  // The browser knows its request ids, and repeats what may be repeated.
  'grpc.enable_retries': 0,
};

const asIs = (bytes: Buffer): Buffer => bytes;

/** How much of a stream is wanted. */
export type First = {
  readonly messages: number;
  /** Entries of each message of a history: a chart needs one of each place. */
  readonly rows: number;
};

export class Bridge {
  readonly #client: Client;
  readonly #registry: FileRegistry;
  readonly #streams = pLimit(STREAMS_MAX);

  /** `socket` is the path of the Unix socket of the server. */
  constructor(socket: string, registry: FileRegistry) {
    this.#client = new Client(`unix:${socket}`, credentials.createInsecure(), CHANNEL);
    this.#registry = registry;
  }

  /** The request that the JSON says. Throws a ConsoleError if it says anything else. */
  read({ input, name }: OfferedMethod, json: JsonValue): Message {
    try {
      return fromJson(input, json, { registry: this.#registry });
    } catch (error) {
      const message = `the body is no request of ${name}: ${(error as Error).message}`;
      throw ConsoleError.own('CONSOLE_JSON', message);
    }
  }

  /**
   * The response, or of a stream its first messages: at most `first.messages`, each with at most `first.rows` of its
   * rows. Rejects with a ConsoleError.
   */
  async call(
    method: OfferedMethod,
    request: Message,
    metadata: Metadata,
    first: First,
  ): Promise<JsonValue> {
    const bytes = Buffer.from(toBinary(method.input, request));
    // Who waits for a turn has less time left.
    const deadline = Date.now() + DEADLINE_MS;
    if (method.methodKind === 'unary')
      return this.#toJson(
        method.output,
        await this.#unary(pathOf(method), bytes, metadata, deadline),
      );
    return await this.#streams(() => this.#stream(method, bytes, metadata, deadline, first));
  }

  close() {
    this.#client.close();
  }

  #unary(path: string, bytes: Buffer, metadata: Metadata, deadline: number): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    this.#client.makeUnaryRequest(
      path,
      asIs,
      asIs,
      bytes,
      metadata,
      { deadline },
      (error, response) => {
        if (error) reject(ConsoleError.of(error));
        else resolve(response as Buffer);
      },
    );
    return promise;
  }

  async #stream(
    method: OfferedMethod,
    bytes: Buffer,
    metadata: Metadata,
    deadline: number,
    { messages: max, rows }: First,
  ): Promise<JsonValue[]> {
    const path = pathOf(method);
    const options = { deadline };
    const call = this.#client.makeServerStreamRequest(path, asIs, asIs, bytes, metadata, options);
    const messages: JsonValue[] = [];
    try {
      for await (const message of call) {
        messages.push(this.#toJson(method.output, message, rows));
        if (messages.length >= max) break;
        await nextTurn();
      }
    } catch (error) {
      throw ConsoleError.of(error as ServiceError);
    } finally {
      call.on('error', () => {});
      call.cancel();
    }
    return messages;
  }

  #toJson(type: DescMessage, bytes: Buffer, rows = Infinity): JsonValue {
    const registry = this.#registry;
    const message = fromBinary(type, bytes);
    if (isPageOfHistory(message)) cut(message, rows);
    return toJson(type, message, { registry, alwaysEmitImplicit: true });
  }
}

type PageOfHistory = Message & { entries: { readonly seq: bigint }[]; nextAfterSeq: bigint };

const isPageOfHistory = (message: Message): message is PageOfHistory =>
  message.$typeName === 'billing.v1.StreamHistoryResponse';

/** What is left is a message of its own: the next one begins after its last entry. */
function cut(message: PageOfHistory, rows: number) {
  if (message.entries.length <= rows) return;
  message.entries.splice(rows);
  message.nextAfterSeq = message.entries.at(-1)?.seq ?? message.nextAfterSeq;
}

const pathOf = ({ parent, name }: OfferedMethod): string => `/${parent.typeName}/${name}`;
