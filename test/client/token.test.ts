/** A token that the caller's function does not give: work that is done is charged all the same. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { connect, type Scrip, ScripError } from '../../clients/typescript/src/index.ts';
import { balanceOf, openWithCredits } from '../accounts.ts';
import { startTestService, type TestService } from '../service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

const AWAY = new Error('the vault is away');
const never = () => new Promise<string>(() => {});
const failing = () => {
  throw AWAY;
};

/** A client whose function for the token can be replaced. */
function clientWithToken() {
  const source: { token: () => string | Promise<string> } = { token: () => 'token' };
  const address = `127.0.0.1:${service.service.port}`;
  const scrip: Scrip = connect({ address, token: () => source.token(), timeoutMs: 60_000 });
  onTestFinished(() => scrip.close());
  return { scrip, source };
}

/** Fails so many times. */
function failFor(source: { token: () => string | Promise<string> }, times: number) {
  let left = times;
  source.token = () => (left-- > 0 ? failing() : 'token');
}

async function figuresOf(account: string) {
  const { remaining, reserved } = await balanceOf(service, account);
  return { spent: 100n - remaining, reserved };
}

test('a call says what the function threw, and that nothing was written', async () => {
  const { scrip, source } = clientWithToken();
  const accountId = await openWithCredits(service, 100n);
  source.token = failing;
  const error = await scrip.billing.charge({ accountId, credits: 1n }).catch((reason) => reason);
  expect(error).toBeInstanceOf(ScripError);
  expect(error).toMatchObject({ code: 16, reason: '', outcome: 'none', cause: AWAY });
  expect(error.requestId).not.toBe('');
});

test('a call does not wait for it beyond its deadline, or once it is aborted', async () => {
  const { scrip, source } = clientWithToken();
  const accountId = await openWithCredits(service, 100n);
  source.token = never;
  const charge = (options: object) => scrip.billing.charge({ accountId, credits: 1n }, options);
  const late = { reason: 'DEADLINE_EXCEEDED', outcome: 'none' };
  await expect(charge({ timeoutMs: 100 })).rejects.toMatchObject(late);
  const aborted = { reason: 'CANCELLED', outcome: 'none' };
  await expect(charge({ signal: AbortSignal.timeout(50) })).rejects.toMatchObject(aborted);
});

test('a function that hangs once is asked again', async () => {
  const { scrip, source } = clientWithToken();
  const accountId = await openWithCredits(service, 100n);
  let isFirst = true;
  source.token = () => {
    const token = isFirst ? never() : 'token';
    isFirst = false;
    return token;
  };
  await scrip.billing.charge({ accountId, credits: 1n }, { timeoutMs: 8_000 });
  expect(await figuresOf(accountId)).toEqual({ spent: 1n, reserved: 0n });
});

test('an iterator does not wait for it once it is aborted', async () => {
  const { scrip, source } = clientWithToken();
  const accountId = await openWithCredits(service, 100n);
  source.token = never;
  const history = scrip.history(accountId, { signal: AbortSignal.timeout(50) });
  await expect(history.next()).rejects.toMatchObject({ reason: 'CANCELLED' });
});

test('work with a reservation is charged once there is a token', async () => {
  const { scrip, source } = clientWithToken();
  const account = await openWithCredits(service, 100n);
  const options = { account, credits: 5n, timeoutMs: 60_000 };
  const { settlement, charged } = await scrip.withReservation(options, () => failFor(source, 2));
  expect({ settlement, charged }).toEqual({ settlement: 'settled', charged: 5n });
  expect(await figuresOf(account)).toEqual({ spent: 5n, reserved: 0n });
});

test('a meter reports once there is a token', async () => {
  const { scrip, source } = clientWithToken();
  const account = await openWithCredits(service, 100n);
  const meter = await scrip.meter(account, { credits: 10 });
  expect(meter.tryUse(2)).toBe(true);
  failFor(source, 2);
  const totals = await meter.close({ timeoutMs: 60_000 });
  expect(totals).toEqual({ allowed: 2, charged: 2, lost: 0 });
  expect(await figuresOf(account)).toEqual({ spent: 2n, reserved: 0n });
});
