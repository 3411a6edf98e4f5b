/** Reservations in the millisecond of their expiry, and in the one before it, in memory and in the database. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Reservation_State } from '../../src/gen/billing/v1/ledger.ts';
import { defined, grant } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const TTL_MS = 60_000;

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({ frozenAt: NOW, env: { ACCOUNT_CACHE_MAX: '0' } });
});
afterAll(() => scrip.stop());

test('a reservation ends in the millisecond of its expiry, and not before', async () => {
  scrip.setNow(NOW);
  const accountId = await scrip.open('verts');
  await grant(scrip, accountId, 10n, {});
  const request = { accountId, credits: 4n, ttl: { seconds: BigInt(TTL_MS / 1_000), nanos: 0 } };
  const [first, second] = [
    defined((await scrip.billing.reserve({ ...request, requestId: requestId() })).reservation),
    defined((await scrip.billing.reserve({ ...request, requestId: requestId() })).reservation),
  ];
  const stored = async () =>
    await execute(
      scrip.databaseUrl,
      'select count(*)::int as reservations from reservations where account_id = $1 and state = 1',
      [accountId],
    );
  const states = async () =>
    await Promise.all(
      [first, second].map(async ({ reservationId }) => {
        const { reservation } = await scrip.billing.getReservation({ accountId, reservationId });
        return defined(reservation).state;
      }),
    );

  scrip.setNow(NOW + TTL_MS - 1);
  await scrip.service.sweep();
  expect(await states()).toEqual([Reservation_State.ACTIVE, Reservation_State.ACTIVE]);
  expect(await stored()).toMatchObject([{ reservations: 2 }]);

  scrip.setNow(NOW + TTL_MS);
  await scrip.service.sweep();
  expect(await states()).toEqual([Reservation_State.EXPIRED, Reservation_State.EXPIRED]);
  expect(await stored()).toMatchObject([{ reservations: 0 }]);
});
