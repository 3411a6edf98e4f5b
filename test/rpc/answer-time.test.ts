/** Answers say the service's time, so that a caller whose clock is wrong can set `not_after`. */
import { Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ScripError } from '../../src/client.ts';
import { openWithCredits } from '../accounts.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
let accountId: string;
beforeAll(async () => {
  scrip = await startTestService({ frozenAt: Date.UTC(2026, 4, 1) });
  accountId = await openWithCredits(scrip, 100n);
});
afterAll(() => scrip.stop());

/** What `scrip-time` says in the trailers of a call's response, or of its error. */
async function timeIn(call: (onTrailers: (trailers: Metadata) => void) => Promise<unknown>) {
  let trailers = new Metadata();
  const onTrailers = (received: Metadata) => {
    trailers = received;
  };
  await call(onTrailers).catch((error: unknown) => {
    if (!(error instanceof ScripError)) throw error;
  });
  return trailers.get('scrip-time').map(String);
}

test('a response, a repeated one, a read and an error have the time of the service in milliseconds', async () => {
  const charge = { accountId, requestId: requestId(), credits: 1n };
  const tooMuch = { ...charge, credits: 1_000n, requestId: requestId() };
  const calls = [
    () => timeIn((onTrailers) => scrip.billing.charge(charge, { onTrailers })),
    () => timeIn((onTrailers) => scrip.billing.charge(charge, { onTrailers })),
    () => timeIn((onTrailers) => scrip.billing.getBalance({ accountId }, { onTrailers })),
    () => timeIn((onTrailers) => scrip.billing.charge(tooMuch, { onTrailers })),
  ];
  for (const call of calls) {
    scrip.advance(60_000);
    expect(await call()).toEqual([String(scrip.now())]);
  }
});

test('a time is at most a tenth of a second old', async () => {
  const ask = () => timeIn((onTrailers) => scrip.billing.getBalance({ accountId }, { onTrailers }));
  const [first] = await ask();
  scrip.advance(99);
  expect(await ask()).toEqual([first]);
  scrip.advance(1);
  expect(await ask()).toEqual([String(Number(first) + 100)]);
});

test('a repeated response is marked all the same', async () => {
  const charge = { accountId, requestId: requestId(), credits: 1n };
  const marks: (string | undefined)[] = [];
  const onTrailers = (trailers: Metadata) =>
    void marks.push(trailers.get('idempotent-replayed')[0]?.toString());
  await scrip.billing.charge(charge, { onTrailers });
  await scrip.billing.charge(charge, { onTrailers });
  expect(marks).toEqual([undefined, 'true']);
});
