/** What shadow mode says that an account would have used, beside its decisions. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verify } from '../../src/verify/verify.ts';
import { DAY, reserveCredits } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { requestId, type TestService } from '../service.ts';
import { startSampleService } from './sample-ledger.ts';

let scrip: TestService;
let accountId: string;
const named = () => ({ accountId, requestId: requestId(), reason: 'a test' });
const charge = (credits: bigint) => scrip.billing.charge({ ...named(), credits });
const setShadowMode = (enabled: boolean) => scrip.accounts.setShadowMode({ ...named(), enabled });
const audit = () => verify(scrip.databaseUrl, { accountId, all: true });
const soundly = async () => expect(await audit()).toMatchObject({ ok: true });

beforeAll(async () => {
  scrip = await startSampleService({ frozenAt: Date.UTC(2031, 0, 25) });
  accountId = await scrip.open('postpaid');
  await scrip.accounts.updateAccount({ ...named(), timeZone: 'Asia/Tokyo' });
});
afterAll(() => scrip.stop());

test('is the sum of them, over months, refunds and shadow modes', async () => {
  await setShadowMode(true);
  const { entrySeq: ofJanuary } = await charge(30n);
  const { entrySeq } = await charge(20n);
  await reserveCredits(scrip, accountId, 15n);
  await scrip.billing.refund({ ...named(), seq: entrySeq, credits: 5n });
  await soundly();
  scrip.advance(10 * DAY);
  const { entrySeq: ofFebruary } = await charge(12n);
  await scrip.billing.refund({ ...named(), seq: ofJanuary, all: true });
  await soundly();
  await setShadowMode(false);
  scrip.advance(1);
  await setShadowMode(true);
  await charge(37n);
  await reserveCredits(scrip, accountId, 9n);
  await scrip.billing.refund({ ...named(), seq: ofFebruary, all: true });
  await soundly();
});

test.each(['overage', 'overage_month', 'overage_reserved'])('has no other %s', async (name) => {
  const [{ used } = {}] = await execute(
    scrip.databaseUrl,
    'select used from shadow_use where account_id = $1',
    [accountId],
  );
  const set = (value: unknown) =>
    execute(scrip.databaseUrl, 'update shadow_use set used = $2 where account_id = $1', [
      accountId,
      JSON.stringify(value),
    ]);
  const sound = used as Record<string, number>;
  expect(sound[name]).toBeGreaterThan(0);
  await set({ ...sound, [name]: 1 });
  expect(await audit()).toMatchObject({
    discrepancies: [{ what: expect.stringMatching(`^shadow mode: ${name} is 1, its decisions`) }],
  });
  await set(sound);
  await soundly();
});
