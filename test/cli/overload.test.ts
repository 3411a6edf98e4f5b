/** Commands during an overload: what refuses calls of callers must not keep operators from looking. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openWithCredits } from '../accounts.ts';
import { type PolicedService, startPoliced } from '../authorization/policed-service.ts';
import { lockAccount, waitForBlockedSessions } from '../disruptions.ts';
import { named } from '../operator/traced.ts';
import { runScrip } from './run-scrip.ts';

let scrip: PolicedService;
beforeAll(async () => {
  scrip = await startPoliced('', { env: { QUEUE_MAX: '1', WAIT_MAX_MS: '600000' } });
});
afterAll(() => scrip.stop());

test.each([
  ['balance', (accountId: string) => ['balance', accountId]],
  ['history', (accountId: string) => ['history', accountId]],
  ['refusals', (accountId: string) => ['refusals', '--account', accountId]],
])('%s waits until it is admitted', async (_, argsOf) => {
  const accountId = await openWithCredits(scrip, 10n);
  await expect(scrip.billing.charge({ ...named(accountId), credits: 11n })).rejects.toThrow();
  const unlock = await lockAccount(scrip.databaseUrl, accountId);
  // The only call that may be in flight.
  const charge = scrip.billing.charge({ ...named(accountId), credits: 1n });
  await waitForBlockedSessions(scrip.databaseUrl);
  const overloads = () =>
    scrip.logged('call refused').filter((line) => line['scrip.reason'] === 'OVERLOADED').length;
  const before = overloads();
  const ran = runScrip([...argsOf(accountId), '--caller', 'test'], {
    SCRIP_ADDRESS: `127.0.0.1:${scrip.service.port}`,
  });
  await vi.waitUntil(() => overloads() > before, { timeout: 60_000 });
  await unlock();
  await charge;
  expect(await ran).toMatchObject({ exitCode: 0 });
});
