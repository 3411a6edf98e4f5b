/** What a client may do on one connection. */
import type { Server } from '@grpc/grpc-js';

/**
 * Node ends a connection, and every call on it, after 1,000 calls that were cancelled or whose deadline passed
 * on the client, with 33 more a second. A client under load has more. The limit is there against attackers
 * (CVE-2023-44487).
 */
const RESETS = { streamResetBurst: 100_000, streamResetRate: 5_000 };

/** Call it before the server listens. grpc-js has no option for resets, so this sets one of Node's. */
export function allowResets(server: Server) {
  const { commonServerOptions } = server as unknown as { commonServerOptions?: object };
  if (!commonServerOptions)
    throw new Error('this version of @grpc/grpc-js has other internals: see connection-limits.ts');
  Object.assign(commonServerOptions, RESETS);
}
