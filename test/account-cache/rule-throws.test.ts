/** A rule that throws while it decides on a cached account: a bug, of its request alone. */
import '../../src/telemetry/sdk.ts';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { Book } from '../../src/ledger/book.ts';
import type { Reserve } from '../../src/ledger/rules/reserve.ts';
import { balanceOf, entriesOf, openWithCredits } from '../accounts.ts';
import { captureLog } from '../disruptions.ts';
import { execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

/** Every execution of the rule, by the reference of its reserve. */
const executed = vi.hoisted((): string[] => []);

vi.mock('../../src/ledger/rules/reserve.ts', async (original) => {
  const actual = await original<typeof import('../../src/ledger/rules/reserve.ts')>();
  return {
    ...actual,
    reserve(book: Book, command: Reserve, ...rest: [never]) {
      executed.push(command.reference);
      const outcome = actual.reserve(book, command, ...rest);
      // After the Book was changed: nothing of that may be written.
      if (command.reference.startsWith('bug'))
        throw new Error(`a rule threw at ${command.reference}`);
      return outcome;
    },
  };
});

const { log, lines } = captureLog('error');
let scrip: TestService;

beforeAll(async () => {
  scrip = await startTestService({ log });
});
afterAll(() => scrip.stop());
beforeEach(() => {
  executed.length = 0;
});

const reserve = (accountId: string, reference: string) =>
  scrip.billing.reserve({ accountId, requestId: requestId(), credits: 1n, reference });

/** An account that the service has written, and so has in its cache. */
async function cachedAccount(): Promise<string> {
  const accountId = await openWithCredits(scrip, 10n);
  await reserve(accountId, 'first');
  executed.length = 0;
  return accountId;
}

const logged = (reference: string) =>
  lines.filter(({ err }) => (err as Error).message === `a rule threw at ${reference}`);

test('is logged once with its trace id, answered INTERNAL, and executed once', async () => {
  const accountId = await cachedAccount();
  const { code, reason, metadata } = await errorOf(reserve(accountId, 'bug'));
  expect({ code, reason }).toEqual({ code: status.INTERNAL, reason: 'INTERNAL' });
  expect(logged('bug')).toMatchObject([
    {
      msg: 'bug',
      account_id: accountId,
      command: 'Reserve',
      trace_id: metadata['trace_id'],
    },
  ]);
  expect(executed).toEqual(['bug']);
  expect((await balanceOf(scrip, accountId)).reserved).toBe(1n);
});

test('does not fail the requests that run with it, whosever they are', async () => {
  const accountId = await cachedAccount();
  const other = await cachedAccount();
  const references = ['a', 'bug 1', 'b', 'bug 2', 'c'];
  const calls = references.flatMap((reference) => [
    reserve(accountId, reference),
    reserve(other, reference.replace('bug', 'no bug')),
  ]);
  const settled = await Promise.allSettled(calls);
  expect(settled.filter((call) => call.status === 'rejected')).toHaveLength(2);
  for (const reference of ['bug 1', 'bug 2']) {
    expect(executed.filter((one) => one === reference)).toHaveLength(1);
    expect(logged(reference)).toHaveLength(1);
  }
  expect((await balanceOf(scrip, accountId)).reserved).toBe(4n);
  expect((await balanceOf(scrip, other)).reserved).toBe(6n);
  expect((await entriesOf(scrip, accountId)).at(-1)?.seq).toBe(6n);
});

test('leaves the account usable, from the database', async () => {
  const accountId = await cachedAccount();
  await errorOf(reserve(accountId, 'bug'));
  await reserve(accountId, 'next');
  expect((await balanceOf(scrip, accountId)).reserved).toBe(2n);
  const [{ count } = {}] = await execute(
    scrip.databaseUrl,
    `select count(*)::int as count from history where account_id = $1 and method = 'Reserve'`,
    [accountId],
  );
  expect(count).toBe(2);
});
