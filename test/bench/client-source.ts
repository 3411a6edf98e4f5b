/** The operations of the client package: all of it runs in the load generator's process. */
import { randomUUID } from 'node:crypto';
import { connect } from '../../clients/typescript/src/index.ts';
import type { Source } from './load.ts';
import { accountId, type Operation } from './load-spec.ts';

type ReserveByClient = Extract<Operation, { kind: 'client' }>;

export function clientSource(address: string, { accounts, batching }: ReserveByClient): Source {
  const scrip = connect({ address, caller: 'bench', batching, timeoutMs: 60_000 });
  return {
    start(done) {
      const index = Math.floor(Math.random() * accounts.count);
      scrip.billing
        .reserve({
          accountId: accountId(accounts, index),
          requestId: randomUUID(),
          usages: { items: [{ operation: 'image.upscale', quantities: { scale_factor: 4n } }] },
          ttl: { seconds: 86_400n },
          reference: 'job-20261104',
        })
        .then(() => done(1), done.bind(null, 0));
      return true;
    },
    close: () => scrip.close(),
  };
}

type UseOfMeter = Extract<Operation, { kind: 'meter' }>;

/** More than a process uses in the time of a report. */
const METER_CREDITS = 100_000_000n;

export async function meterSource(
  address: string,
  { accountId: account, size }: UseOfMeter,
): Promise<Source> {
  const scrip = connect({ address, caller: 'bench' });
  const meter = await scrip.meter(account, { credits: METER_CREDITS });
  return {
    start(done) {
      let allowed = 0;
      while (allowed < size && meter.tryUse()) allowed += 1;
      const error = allowed < size ? new Error('the meter was used up') : null;
      setImmediate(() => done(allowed, error));
      return true;
    },
    async close() {
      const { charged, ...totals } = await meter.close();
      scrip.close();
      if (charged !== totals.allowed)
        throw new Error(`${charged} of ${totals.allowed} were charged`);
    },
  };
}
