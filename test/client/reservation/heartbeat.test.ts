/** When a reservation is extended. */
import { status } from '@grpc/grpc-js';
import { expect, test, vi } from 'vitest';
import { Reservation, ScripError } from '../../../clients/typescript/src/index.ts';
import { startHeartbeat } from '../../../clients/typescript/src/reservation/heartbeat.ts';
import { SOON } from '../../process/replica.ts';

const reservation = (ttlMs: number) =>
  Reservation.fromPartial({
    accountId: 'acct',
    reservationId: 'r',
    createdAt: new Date(0),
    expiresAt: new Date(ttlMs),
  });

test('it is extended at once if Reserve took longer than a third of its TTL', async () => {
  const warnings = vi.fn();
  process.on('warning', warnings);
  const extendReservation = vi.fn(async () => ({}));
  const onLost = vi.fn();
  const sentAt = performance.now() - 30_000;
  const calls = { extendReservation } as unknown as Parameters<typeof startHeartbeat>[0];
  const heartbeat = startHeartbeat(calls, reservation(60_000), sentAt, undefined, onLost);
  await vi.waitUntil(() => extendReservation.mock.calls.length > 0, SOON);
  heartbeat.stop();
  expect(extendReservation).toHaveBeenCalledWith(
    { accountId: 'acct', reservationId: 'r', ttl: { seconds: 60n, nanos: 0 } },
    expect.anything(),
  );
  expect(onLost).not.toHaveBeenCalled();
  process.off('warning', warnings);
  expect(warnings).not.toHaveBeenCalled();
});

test('a TTL that the plan does not allow any more does not end the reservation', async () => {
  const refusal = new ScripError({
    code: status.INVALID_ARGUMENT,
    message: 'ttl must be at most 10 s',
    reason: 'INVALID_FIELD',
    metadata: { field: 'ttl' },
    violations: [],
    retryAfterMs: undefined,
    outcome: 'none',
    cause: undefined,
  });
  const extendReservation = vi.fn(() => Promise.reject(refusal));
  const onLost = vi.fn();
  const calls = { extendReservation } as unknown as Parameters<typeof startHeartbeat>[0];
  const sentAt = performance.now();
  startHeartbeat(calls, reservation(600), sentAt, undefined, onLost);
  await vi.waitUntil(() => onLost.mock.calls.length > 0, SOON);
  expect(performance.now() - sentAt).toBeGreaterThanOrEqual(600);
  expect(extendReservation.mock.calls.length).toBeGreaterThan(1);
});

test('it is lost at once if Reserve took longer than its TTL', async () => {
  const extendReservation = vi.fn();
  const onLost = vi.fn();
  const sentAt = performance.now() - 61_000;
  const calls = { extendReservation } as unknown as Parameters<typeof startHeartbeat>[0];
  startHeartbeat(calls, reservation(60_000), sentAt, undefined, onLost);
  await vi.waitUntil(() => onLost.mock.calls.length > 0, SOON);
  expect(extendReservation).not.toHaveBeenCalled();
});
