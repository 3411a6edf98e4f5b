/** Who makes a call. It is attached to the HTTP/2 stream of the call before grpc-js sees it. */
import type { ServerHttp2Stream } from 'node:http2';
import type { Identity } from '../../policy/identity.ts';

const IDENTITY = Symbol('identity');

type IdentifiedStream = ServerHttp2Stream & { [IDENTITY]?: Identity };

/** Who makes the calls that need no identity: those of the health service. */
const ANYONE: Identity = { caller: 'unknown', method: 'HEADER', certificate: '', claims: {} };

export function setIdentity(stream: ServerHttp2Stream, identity: Identity) {
  (stream as IdentifiedStream)[IDENTITY] = identity;
}

export const identityOfStream = (stream: ServerHttp2Stream): Identity =>
  (stream as IdentifiedStream)[IDENTITY] ?? ANYONE;

/** `call` is what grpc-js gives to a handler. Its types declare the property private. */
export const identityOf = (call: object): Identity =>
  identityOfStream((call as { call: { stream: ServerHttp2Stream } }).call.stream);
