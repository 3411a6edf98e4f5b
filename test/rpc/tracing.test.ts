/** Every entry has the caller and the trace that caused it. */
import '../../src/telemetry/sdk.ts';
import { randomBytes } from 'node:crypto';
import { Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../src/client.ts';
import { Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { entriesOf, MINUTE, newestEntry, openWithCredits, reserveCredits } from '../accounts.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { mutatingRpcs } from './mutations.ts';
import { callRaw } from './raw-call.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

const TRACE = /^(?!0{32})[0-9a-f]{32}$/;
const SPAN = /^(?!0{16})[0-9a-f]{16}$/;

const headers = (values: Readonly<Record<string, string>>): Metadata => {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(values)) metadata.set(name, value);
  return metadata;
};

/** The entry of a charge with this request metadata. */
async function entryOfCharge(metadata: Metadata) {
  const accountId = await openWithCredits(scrip, 10n);
  await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n }, { metadata });
  return await newestEntry(scrip, accountId);
}

describe('The trace of an entry', () => {
  test.each(['01', '00'])(
    'is the trace of the request metadata traceparent, sampled or not (%s)',
    async (flags) => {
      const traceId = randomBytes(16).toString('hex');
      const parentId = randomBytes(8).toString('hex');
      const traceparent = `00-${traceId}-${parentId}-${flags}`;
      const entry = await entryOfCharge(headers({ traceparent, tracestate: 'vendor=1' }));
      expect(entry.traceId).toBe(traceId);
      expect(entry.spanId).toMatch(SPAN);
      expect(entry.spanId).not.toBe(parentId);
    },
  );

  test('is a new one without traceparent', async () => {
    const entries = [await entryOfCharge(new Metadata()), await entryOfCharge(new Metadata())];
    for (const { traceId, spanId } of entries) {
      expect(traceId).toMatch(TRACE);
      expect(spanId).toMatch(SPAN);
    }
    expect(new Set(entries.map(({ traceId }) => traceId)).size).toBe(2);
  });

  test.each([
    'garbage',
    '00-00000000000000000000000000000000-0000000000000001-01',
    '00-0123456789abcdef0123456789abcdef-0000000000000000-01',
    '00-0123456789ABCDEF-01',
    'ff-0123456789abcdef0123456789abcdef-0123456789abcdef-01',
  ])('is a new one if traceparent is invalid: %s', async (traceparent) => {
    const { traceId, spanId } = await entryOfCharge(headers({ traceparent }));
    expect(traceId).toMatch(TRACE);
    expect(traceId).not.toBe('0123456789abcdef0123456789abcdef');
    expect(spanId).toMatch(SPAN);
  });

  test('is that of its own call, also if one unit of work decided several', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const traces = Array.from({ length: 20 }, () => randomBytes(16).toString('hex'));
    await Promise.all(
      traces.map((traceId) =>
        scrip.billing.charge(
          { accountId, requestId: traceId, credits: 1n },
          { metadata: headers({ traceparent: `00-${traceId}-0123456789abcdef-01` }) },
        ),
      ),
    );
    const charges = await entriesOf(scrip, accountId, { kinds: [Entry_Kind.CHARGE] });
    expect(charges.length).toBe(20);
    for (const entry of charges) expect(entry.traceId).toBe(entry.requestId);
    expect(new Set(charges.map(({ spanId }) => spanId)).size).toBe(20);
  });

  test('is that of the batch for each of its mutations', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const traceId = randomBytes(16).toString('hex');
    const mutations = Array.from({ length: 5 }, () => ({
      mutation: {
        $case: 'charge' as const,
        value: { accountId, requestId: requestId(), credits: 1n },
      },
    }));
    const metadata = headers({ traceparent: `00-${traceId}-0123456789abcdef-01` });
    await scrip.billing.batch({ mutations }, { metadata });
    const charges = await entriesOf(scrip, accountId, { kinds: [Entry_Kind.CHARGE] });
    expect(charges.map((entry) => entry.traceId)).toEqual(Array(5).fill(traceId));
  });

  test('is that of the mutation, if it names a span of its own caller', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const ofBatch = 'b'.repeat(32);
    const named = { traceId: 'c'.repeat(32), spanId: '1'.repeat(16) };
    const names = [`00-${named.traceId}-${named.spanId}-01`, '', '00-xyz-01'];
    const mutations = names.map((traceparent) => ({
      mutation: {
        $case: 'charge' as const,
        value: { accountId, requestId: requestId(), credits: 1n },
      },
      traceparent,
    }));
    const metadata = headers({ traceparent: `00-${ofBatch}-0123456789abcdef-01` });
    await scrip.billing.batch({ mutations }, { metadata });
    const charges = await entriesOf(scrip, accountId, { kinds: [Entry_Kind.CHARGE] });
    expect(charges.map(({ traceId }) => traceId)).toEqual([named.traceId, ofBatch, ofBatch]);
    expect(charges[0]?.spanId).toMatch(SPAN);
    expect(charges[0]?.spanId).not.toBe(named.spanId);
    // What a request id is compared by has no trace.
    const again = mutations.map((mutation) => ({ ...mutation, traceparent: '' }));
    const { results } = await scrip.billing.batch({ mutations: again }, { metadata });
    expect(results.map(({ result }) => result?.$case)).toEqual(['charge', 'charge', 'charge']);
    expect((await newestEntry(scrip, accountId)).seq).toBe(charges.at(-1)?.seq);
  });

  test('is that of the mutation in an atomic batch, too', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const traces = ['d'.repeat(32), 'e'.repeat(32)];
    const mutations = traces.map((traceId) => ({
      mutation: {
        $case: 'charge' as const,
        value: { accountId, requestId: requestId(), credits: 1n },
      },
      traceparent: `00-${traceId}-${'1'.repeat(16)}-01`,
    }));
    await scrip.billing.batch({ mutations, atomic: true });
    const charges = await entriesOf(scrip, accountId, { kinds: [Entry_Kind.CHARGE] });
    expect(charges.map(({ traceId }) => traceId)).toEqual(traces);
  });

  test.each(mutatingRpcs)('is stored with every entry of $path', async ({ path, pair }) => {
    const id = requestId();
    const traceId = randomBytes(16).toString('hex');
    const { accountId, request } = await pair(scrip, id);
    const metadata = headers({ 'x-caller': 'tracer' });
    metadata.set('traceparent', `00-${traceId}-0123456789abcdef-01`);
    await callRaw(scrip, path, request, {}, metadata);
    const own = (await entriesOf(scrip, accountId)).filter((entry) => entry.requestId === id);
    // A new account also gets the credits of its plan; an import ends with an entry of its own.
    expect(own.length).toBe(/(Open|Import)Account$/.test(path) ? 2 : 1);
    for (const entry of own) expect(entry).toMatchObject({ traceId, caller: 'tracer' });
  });

  test('is that of the unit of work for what the service does by itself', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    await reserveCredits(scrip, accountId, 10n);
    scrip.advance(15 * MINUTE);
    await scrip.service.sweep();
    const { kind, caller, traceId, spanId } = await newestEntry(scrip, accountId);
    expect([kind, caller]).toEqual([Entry_Kind.EXPIRE, 'scrip']);
    expect(traceId).toMatch(TRACE);
    expect(spanId).toMatch(SPAN);
  });

  test('is that of the first call if the request was repeated', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const request = { accountId, requestId: requestId(), credits: 1n };
    const [first, second] = ['a', 'b'].map((digit) => digit.repeat(32));
    for (const traceId of [first, second])
      await scrip.billing.charge(request, {
        metadata: headers({ traceparent: `00-${traceId}-0123456789abcdef-01` }),
      });
    expect((await newestEntry(scrip, accountId)).traceId).toBe(first);
  });
});

describe('The caller of an entry', () => {
  const callerOf = async (caller: string) => {
    const own = connect(`127.0.0.1:${scrip.service.port}`, { caller });
    const accountId = await openWithCredits(scrip, 10n);
    await own.billing.charge({ accountId, requestId: requestId(), credits: 1n });
    own.close();
    return (await newestEntry(scrip, accountId)).caller;
  };

  test.each([
    ['a word', 'converter'],
    ['a path', 'team/images@eu-1'],
    ['128 characters', 'x'.repeat(128)],
  ])('is the request metadata x-caller: %s', async (_, name) => {
    expect(await callerOf(name)).toBe(name);
  });

  test('is "unknown" without x-caller', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const charge = mutatingRpcs.find(({ path }) => path.endsWith('/Charge'));
    const id = requestId();
    const pair = await charge?.pair(scrip, id);
    if (!charge || !pair) return expect.fail('there is no Charge');
    await callRaw(scrip, charge.path, pair.request);
    expect((await newestEntry(scrip, pair.accountId)).caller).toBe('unknown');
    expect((await newestEntry(scrip, accountId)).caller).toBe('test');
  });
});
