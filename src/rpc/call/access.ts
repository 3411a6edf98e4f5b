/** Who makes a call, and what they may do. It is attached to the HTTP/2 stream of the call before grpc-js sees it. */
import type { ServerHttp2Stream } from 'node:http2';
import type { Identity } from '../../policy/identity.ts';
import { NOTHING_ALLOWED, type Permissions } from '../../policy/permissions.ts';

export type Access = {
  readonly identity: Identity;
  readonly permissions: Permissions;
  /** The name in whose place the caller acts; empty: its own. */
  readonly onBehalfOf: string;
};

const ACCESS = Symbol('access');

type KnownStream = ServerHttp2Stream & { [ACCESS]?: Access };

/** Of the calls that need no identity: those of the health service. */
const ANYONE: Access = {
  identity: { caller: 'unknown', method: 'HEADER', certificate: '', claims: {}, until: null },
  permissions: NOTHING_ALLOWED,
  onBehalfOf: '',
};

export function setAccess(stream: ServerHttp2Stream, access: Access) {
  (stream as KnownStream)[ACCESS] = access;
}

export const accessOfStream = (stream: ServerHttp2Stream): Access =>
  (stream as KnownStream)[ACCESS] ?? ANYONE;

/** `call` is what grpc-js gives to a handler. Its types declare the property private. */
export const streamOf = (call: object): ServerHttp2Stream =>
  (call as { call: { stream: ServerHttp2Stream } }).call.stream;

/** The caller to whose reservations the call is limited; null: to none. */
export const ownerOf = ({ identity, permissions }: Access): string | null =>
  permissions.ownReservationsOnly ? identity.caller : null;
