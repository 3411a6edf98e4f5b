/** Calls belong to the trace of the application, which needs no more than `@opentelemetry/api` for it. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { type Context, context, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, type Scrip } from '../../clients/typescript/src/index.ts';
import { ScriptedService } from './scripted-service.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';

const service = new ScriptedService();
let scrip: Scrip;
beforeAll(async () => {
  scrip = connect({ address: await service.start(), timeoutMs: 60_000 });
  service.script = [1n];
  const storage = new AsyncLocalStorage<Context>();
  context.setGlobalContextManager({
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (active, call, self, ...args) =>
      storage.run(active, () => call.apply(self as never, args)),
    bind: (_, target) => target,
    enable() {
      return this;
    },
    disable() {
      return this;
    },
  });
});
afterAll(() => {
  scrip.close();
  service.stop();
});

const inSpan = (traceFlags: number) =>
  trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags });
const charge = (options = {}) => scrip.billing.charge({ accountId: 'a', credits: 1n }, options);
const sent = () => service.received.at(-1)?.metadata.get('traceparent');

test.each([
  ['01', 1],
  ['00', 0],
])('a call is in the trace of the active span, with its flags: %s', async (flags, traceFlags) => {
  await context.with(inSpan(traceFlags), () => charge());
  expect(sent()).toEqual([`00-${traceId}-${spanId}-${flags}`]);
});

test('without a span a call names no trace', async () => {
  await charge();
  expect(sent()).toEqual([]);
});

test('the caller may name another', async () => {
  const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
  await context.with(inSpan(1), () => charge({ traceparent }));
  expect(sent()).toEqual([traceparent]);
});
