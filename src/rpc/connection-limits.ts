/** What a client may do on one connection, and how its metadata is read. */
import type { Server } from '@grpc/grpc-js';

/**
 * Node ends a connection, and every call on it, after 1,000 calls that were cancelled or whose deadline passed
 * on the client, with 33 more a second. A client under load has more. The limit is there against attackers
 * (CVE-2023-44487).
 */
const RESETS = { streamResetBurst: 100_000, streamResetRate: 5_000 };

/**
 * Node drops metadata whose value begins or ends with a space, and serves the call without it: a bad token would not
 * fail the call, and a certificate would count in its place. Here such a value arrives, and is refused.
 */
const WHOLE_METADATA = { strictFieldWhitespaceValidation: false };

/** Call it before the server listens. grpc-js has no options for these, so this sets Node's. */
export function setConnectionOptions(server: Server) {
  const { commonServerOptions } = server as unknown as { commonServerOptions?: object };
  if (!commonServerOptions)
    throw new Error('this version of @grpc/grpc-js has other internals: see connection-limits.ts');
  Object.assign(commonServerOptions, RESETS, WHOLE_METADATA);
}
