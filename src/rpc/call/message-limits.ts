/**
 * Limits what requests on their way, and responses that nobody reads, may take of memory. grpc-js keeps of both as
 * much as there is: it knows only how large one message may be.
 *
 * It has no interface for that, so this file replaces five methods of its calls, by the functions of `limitMessages`.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import {
  type Metadata,
  type ServerInterceptingCall,
  type ServerInterceptor,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { accessOfStream } from './access.ts';
import { callersSpan } from './callers-span.ts';
import { Decompression, isCompressed, TooManyCompressed } from './decompression.ts';
import { recordRefusal } from './early-refusal.ts';
import { type HeldLimits, HeldMessages } from './held-messages.ts';
import type { CallContext } from './observed-call.ts';

/** As many of the largest messages as 21: beyond, the calls that have held some for longest are given up. */
const LIMITS: HeldLimits = { bytesMax: 64 * 1024 * 1024, callsMax: 10_000 };
/** What a part of a message takes beside its bytes. Parts may have one byte each. */
const PART_BYTES = 200;
/** A flag and a length before each message. */
const PREFIX_LENGTH = 5;
/** Of a decoder of grpc-js: between two messages. */
const NO_DATA = 0;
/** How long a caller has to read that its call was given up. */
const RESET_MS = 5_000;

/** What grpc-js has of a call. */
type GrpcCall = {
  readonly stream: ServerHttp2Stream;
  readonly handler: { readonly type: string; readonly path: string };
  readonly metadata: Metadata;
  readonly maxReceiveMessageSize: number;
  readonly cancelled: boolean;
  readonly decoder: { readonly readState: number; readPartialMessage: Buffer[] };
  readQueue: unknown[];
  checkCancelled(): boolean;
  sendStatus(sent: Partial<StatusObject>): void;
} & Replaced;

type Replaced = {
  handleDataFrame(data: Buffer): void;
  handleEndEvent(): void;
  notifyOnCancel(): void;
  sendMessage(message: unknown, callback: () => void): void;
  decompressMessage(message: Buffer, encoding: string): Buffer | Promise<Buffer>;
};

export function limitMessages(
  context: Pick<CallContext, 'overloadAnswer' | 'observers'>,
  limits = LIMITS,
): ServerInterceptor {
  const requests = new HeldMessages<GrpcCall>(limits, (call) => refuse(context, call));
  const responses = new HeldMessages<GrpcCall>(limits, ({ stream }) =>
    stream.close(constants.NGHTTP2_CANCEL),
  );
  const decompression = new Decompression();
  // One function for all calls: `release-on-close.ts` says what a function per call would cost.
  const replaced: Replaced & ThisType<GrpcCall> = {
    handleDataFrame(data) {
      original(this).handleDataFrame.call(this, data);
      if (this.cancelled) return;
      // Each message of a stream of requests is worked on as it arrives, any other when nothing follows it.
      const isTaken = isStreamOfRequests(this) && this.decoder.readState === NO_DATA;
      if (isTaken) requests.remove(this);
      else requests.add(this, data.length + PART_BYTES);
    },
    handleEndEvent() {
      requests.remove(this);
      original(this).handleEndEvent.call(this);
    },
    notifyOnCancel() {
      requests.remove(this);
      responses.remove(this);
      original(this).notifyOnCancel.call(this);
    },
    sendMessage(message, callback) {
      original(this).sendMessage.call(this, message, callback);
      // Streams wait for their readers by themselves.
      if (this.handler.type === 'unary' && !this.cancelled)
        responses.add(this, this.stream.writableLength);
    },
    decompressMessage(message, encoding) {
      if (!isCompressed(encoding))
        return original(this).decompressMessage.call(this, message, encoding);
      const isOver = () => this.checkCancelled();
      return decompression
        .decompress(message.subarray(PREFIX_LENGTH), encoding, this.maxReceiveMessageSize, isOver)
        .catch((error) => {
          throw error instanceof TooManyCompressed
            ? context.overloadAnswer.error
            : undecompressed(error, this.maxReceiveMessageSize);
        });
    },
  };
  return (_, base) => {
    const call = Object.assign(base as unknown as GrpcCall, replaced);
    if (!isStreamOfRequests(call)) requests.add(call, 0);
    return call as unknown as ServerInterceptingCall;
  };
}

const original = (call: GrpcCall): Replaced => Object.getPrototypeOf(call);

const isStreamOfRequests = ({ handler: { type } }: GrpcCall): boolean =>
  type !== 'unary' && type !== 'serverStream';

/** The status as grpc-js has it, which `transport-failures.ts` reads. */
const undecompressed = ({ code }: NodeJS.ErrnoException, lengthMax: number) =>
  code === 'ERR_BUFFER_TOO_LARGE'
    ? {
        code: status.RESOURCE_EXHAUSTED,
        details: `Received message that decompresses to a size larger than ${lengthMax}`,
      }
    : { code: status.INTERNAL, details: 'Failed to decompress message' };

/** Refuses a call whose request did not arrive, and forgets what arrived of it. */
function refuse(context: Pick<CallContext, 'overloadAnswer' | 'observers'>, call: GrpcCall) {
  const { error, failure } = context.overloadAnswer;
  const { stream, handler, metadata, decoder } = call;
  call.sendStatus(error);
  decoder.readPartialMessage = [];
  call.readQueue = [];
  const { identity } = accessOfStream(stream);
  recordRefusal(context, handler.path, identity, callersSpan(metadata), failure);
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), RESET_MS).unref();
  stream.once('close', () => clearTimeout(timer));
}
