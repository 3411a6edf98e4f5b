/** Tokens of StreamEvents, of an installation that has one cell. */
import { encodeStreamToken } from '../../src/rpc/event-service/stream-token.ts';

export const tokenAt = (position: bigint): string =>
  encodeStreamToken(new Map([['default', { position, mark: 0, epoch: 0 }]]), ['default']);
