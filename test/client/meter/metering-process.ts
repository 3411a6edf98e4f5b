/**
 * Uses a meter until it is killed. Each line on stdout is written before anything else can happen: what was allowed
 * so far, and how much of it was known to be charged.
 */
import { writeSync } from 'node:fs';
import { connect } from '../../../clients/typescript/src/index.ts';

const { ADDRESS: address = '', ACCOUNT: account = '' } = process.env;
const scrip = connect({ address, caller: 'metering' });
const meter = await scrip.meter(account, { credits: 50, ttlMs: 2_000, intervalMs: 100 });
for (let allowed = 0; ; ) {
  if (meter.tryUse()) {
    allowed += 1;
    writeSync(1, `${allowed} ${meter.charged}\n`);
  }
  await new Promise((resolve) => setTimeout(resolve, 1));
}
