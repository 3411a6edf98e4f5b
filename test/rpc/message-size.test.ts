/**
 * gRPC clients accept messages of up to 4 MiB by default. Such a client must be able to read whatever
 * the limits of the contract allow callers to write.
 */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { BatchRequest } from '../../src/gen/billing/v1/billing_service.ts';
import { mapOf } from '../../src/map-of.ts';
import { entriesOf, openWithCredits } from '../accounts.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

/** The largest labels: 5 KB. */
const LABELS = new Map(
  Array.from({ length: 16 }, (_, index) => [`${index}`.padStart(64, 'k'), 'v'.repeat(256)]),
);

test('a client with default limits reads the history of an account with large entries', async () => {
  const accountId = await openWithCredits(scrip, 1_000_000n);
  const usage = { operation: 'image.upscale', quantities: mapOf({ scale_factor: 2n }) };
  for (let batches = 0; batches < 10; batches++)
    await scrip.billing.batch({
      mutations: Array.from({ length: 10 }, () => {
        const value = {
          accountId,
          requestId: requestId(),
          usages: { items: Array(1_000).fill(usage) },
        };
        return { mutation: { $case: 'charge', value } };
      }),
    });
  const entries = await entriesOf(scrip, accountId);
  expect(entries.length).toBe(102);
  const listed: bigint[] = [];
  let pageToken = '';
  do {
    const page = await scrip.billing.listEntries({ accountId, pageSize: 1_000, pageToken });
    listed.push(...page.entries.map(({ seq }) => seq));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  expect(listed).toEqual(entries.map(({ seq }) => seq).toReversed());
});

test('a client with default limits reads a page of 1,000 reservations with many labels', async () => {
  const accountId = await openWithCredits(scrip, 1n);
  const mutations = Array.from({ length: 500 }, () => ({
    mutation: {
      $case: 'reserve' as const,
      value: { accountId, requestId: requestId(), credits: 0n, labels: LABELS },
    },
  }));
  await scrip.billing.batch({ mutations });
  await scrip.billing.batch({
    mutations: mutations.map(({ mutation: { $case, value } }) => ({
      mutation: { $case, value: { ...value, requestId: requestId() } },
    })),
  });
  const seen = new Set<string>();
  let pageToken = '';
  do {
    const page = await scrip.billing.listReservations({ accountId, pageSize: 1_000, pageToken });
    for (const { reservationId } of page.reservations) seen.add(reservationId);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  expect(seen.size).toBe(1_000);
});

test('a client with default limits reads a page of 1,000 accounts with many labels', async () => {
  const planId = 'perfectparser';
  for (let batches = 0; batches < 2; batches++)
    await scrip.billing.batch({
      mutations: Array.from({ length: 500 }, () => {
        const id = requestId();
        const value = { accountId: id, requestId: id, planId, labels: LABELS };
        return { mutation: { $case: 'openAccount', value } };
      }),
    });
  const seen = new Set<string>();
  let pageToken = '';
  do {
    const page = await scrip.accounts.listAccounts({ planId, pageSize: 1_000, pageToken });
    for (const { accountId } of page.accounts) seen.add(accountId);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  expect(seen.size).toBe(1_000);
});

test('a client with default limits reads the response to the largest batch', async () => {
  const accountId = await openWithCredits(scrip, 1n);
  const short = [...LABELS].slice(0, 8);
  const batchWith = (length: number) =>
    BatchRequest.fromPartial({
      mutations: Array.from({ length: 1_000 }, () => {
        const labels = new Map([...short, ['last', 'v'.repeat(length)]]);
        const value = { accountId, requestId: requestId(), credits: 0n, labels };
        return { mutation: { $case: 'reserve', value } };
      }),
    });
  const room = 3 * 1024 * 1024 - BatchRequest.encode(batchWith(0)).finish().length;
  const length = Math.floor(room / 1_000) - 4; // The length prefix of a longer text has more bytes.
  const { results } = await scrip.billing.batch(batchWith(length));
  expect(results.length).toBe(1_000);
});
