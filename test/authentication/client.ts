/** Clients of one service with credentials of their own, and whom the service takes them for. */
import { randomUUID } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { type ConnectOptions, connect, type Scrip } from '../../src/client.ts';
import { requestId, type TestService } from '../service.ts';
import type { Pair } from './authority.ts';

/** A client with a connection of its own, closed after the test. */
export function clientOf(
  { service }: Pick<TestService, 'service'>,
  options: ConnectOptions,
): Scrip {
  const channel = { 'grpc.use_local_subchannel_pool': 1, ...options.channel };
  const scrip = connect(`localhost:${service.port}`, { ...options, channel });
  onTestFinished(() => scrip.close());
  return scrip;
}

/** TLS of a client that trusts `ca` and shows the certificate. */
export const tlsOf = (ca: Buffer, pair?: Pair): NonNullable<ConnectOptions['tls']> => ({
  ca,
  ...(pair && { certificate: pair.certificate, key: pair.key }),
});

/** Opens an account, and returns the caller that its first entry names. */
export async function callerOf({ accounts, billing }: Scrip): Promise<string> {
  const accountId = `acct-${randomUUID()}`;
  await accounts.openAccount({ accountId, requestId: requestId(), planId: 'verts' });
  for await (const { entries } of billing.streamHistory({ accountId }))
    for (const { caller } of entries) return caller;
  throw new Error('the history has no entry');
}
