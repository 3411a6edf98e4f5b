/** A bug fails with INTERNAL and a trace id. Its cause is in the log under that id, and nowhere else. */
import '../../src/telemetry/sdk.ts';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { balanceOf, entriesOf, INSPECT, openWithCredits } from '../accounts.ts';
import { captureLog } from '../disruptions.ts';
import { execute } from '../postgres.ts';
import { errorOf, type RpcError } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const { log, lines } = captureLog('error');

let scrip: TestService;
let accountId: string;
beforeAll(async () => {
  scrip = await startTestService({ log });
  accountId = await openWithCredits(scrip, 1_000n);
});
afterAll(() => scrip.stop());

/** Runs `work` while a table is missing, which the service does not expect. */
async function withoutTable<Result>(table: string, run: () => Promise<Result>): Promise<Result> {
  await execute(scrip.databaseUrl, `alter table ${table} rename to away`);
  try {
    return await run();
  } finally {
    await execute(scrip.databaseUrl, `alter table away rename to ${table}`);
  }
}

type Bug = Pick<RpcError, 'code' | 'reason' | 'message' | 'metadata'>;

function expectBug({ code, reason, message, metadata }: Bug) {
  expect({ code, reason }).toEqual({ code: status.INTERNAL, reason: 'INTERNAL' });
  const traceId = metadata['trace_id'];
  expect(traceId).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
  expect(message).not.toMatch(/relation|exist|entries|accounts|constraint|poison|select|insert/i);
  expect(Object.keys(metadata)).toEqual(['trace_id']);
  const logged = lines.filter((line) => line['trace_id'] === traceId);
  expect(JSON.stringify(logged)).toMatch(/relation \\+"\w+\\+" does not exist|violates check/);
}

describe('A bug', () => {
  test('in a mutation is logged under the trace id that the caller gets', async () => {
    const request = { accountId, requestId: requestId(), usages: { items: [INSPECT] } };
    const error = await withoutTable('entries', () => errorOf(scrip.billing.charge(request)));
    expectBug(error);
    // Nothing was written: without the bug the same request succeeds.
    expect((await scrip.billing.charge(request)).credits).toBe(1n);
  });

  test('in a read is logged under the trace id that the caller gets', async () => {
    expectBug(await withoutTable('accounts', () => errorOf(balanceOf(scrip, accountId))));
    expectBug(await withoutTable('accounts', () => errorOf(scrip.accounts.listAccounts({}))));
    expectBug(
      await withoutTable('grants', () =>
        errorOf(scrip.billing.estimate({ accountId, usages: { items: [INSPECT] } })),
      ),
    );
  });

  test('in a stream is logged under the trace id that the caller gets', async () => {
    expectBug(await withoutTable('entries', () => errorOf(entriesOf(scrip, accountId))));
  });

  test('in a batch is logged under the trace id that the caller gets', async () => {
    const charge = { accountId, requestId: requestId(), credits: 1n };
    const { results } = await withoutTable('entries', () =>
      scrip.billing.batch({ mutations: [{ mutation: { $case: 'charge', value: charge } }] }),
    );
    const result = results[0]?.result;
    if (result?.$case !== 'error') return expect.fail('the mutation succeeded');
    const { metadata, ...error } = result.value;
    expectBug({ ...error, metadata: Object.fromEntries(metadata) });
  });
});

describe('A request that fails', () => {
  beforeAll(async () => {
    await execute(
      scrip.databaseUrl,
      `alter table entries add constraint no_poison check (reference <> 'poison')`,
    );
  });

  test('does not affect others of its batch and writes nothing', async () => {
    const own = await openWithCredits(scrip, 100n);
    const { results } = await scrip.billing.batch({
      mutations: Array.from({ length: 10 }, (_, index) => {
        const reference = index === 4 ? 'poison' : 'job';
        const id = index % 2 === 0 ? own : accountId;
        const value = { accountId: id, requestId: requestId(), credits: 1n, reference };
        return { mutation: { $case: 'charge', value } };
      }),
    });
    expect(results.map(({ result }) => result?.$case)).toEqual(
      results.map((_, index) => (index === 4 ? 'error' : 'charge')),
    );
    expect((await balanceOf(scrip, own)).remaining).toBe(96n);
    expect((await entriesOf(scrip, own)).length).toBe(6);
  });

  test('does not affect calls that arrive at the same time', async () => {
    const own = await openWithCredits(scrip, 100n);
    const charge = (reference: string) =>
      scrip.billing.charge({ accountId: own, requestId: requestId(), credits: 1n, reference });
    const calls = Array.from({ length: 30 }, (_, index) => (index % 10 === 3 ? 'poison' : 'job'));
    const settled = await Promise.allSettled(calls.map(charge));
    expect(settled.map((call) => call.status)).toEqual(
      calls.map((reference) => (reference === 'poison' ? 'rejected' : 'fulfilled')),
    );
    expect((await balanceOf(scrip, own)).remaining).toBe(73n);
    expectBug(await errorOf(charge('poison')));
  });
});
