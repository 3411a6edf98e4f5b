/** Books with every kind of entry and every kind of move in them, written through the RPCs. */
import { Grant_Category, OverCommitPolicy } from '../../src/gen/billing/v1/ledger.ts';
import { planIn } from '../pricing/fixtures.ts';
import { requestId, startTestService, type TestOptions, type TestService } from '../service.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const plan = (planId: string, terms: string) =>
  planIn(`
plan_id: ${planId}
title: ${planId}
terms:
  reservation: { ttl: 90s, max_ttl: 2h, grace: 10m }
${terms}
packs:
  - { pack_id: small, title: Small, credits: 100, price: 10 USD, validity: 12 months }
operations:
  job.pages:
    title: Three credits a page
    billable: true
    quantities:
      pages: { title: Pages, unit: page, min: 1, max: 500 }
    components:
      - { kind: per_unit, label: Pages, quantity: pages, credits: 3 }
`);

const PLANS = [
  plan(
    'prepaid',
    `  low_balance_threshold: 250
  welcome: { credits: 30, validity: 20 days }
  allowance: { credits: 200, every: month, rollover: none }`,
  ),
  plan(
    'postpaid',
    `  welcome: { credits: 10, validity: never }
  overage: { limit: 200 }`,
  ),
  plan('bare', '  low_balance_threshold: 1'),
];

export const startBooks = (options: TestOptions = {}): Promise<TestService> =>
  startTestService({ plans: PLANS, ...options });

export type Books = { readonly prepaid: string; readonly postpaid: string; readonly bare: string };

/** Lives through two months, and leaves some reservations running. */
export async function writeBooks(scrip: TestService): Promise<Books> {
  scrip.setNow(Date.UTC(2031, 0, 25, 12));
  const prepaid = await scrip.open('prepaid');
  await everyWayToCharge(scrip, prepaid);
  await expiries(scrip, prepaid);
  const postpaid = await scrip.open('postpaid');
  await overage(scrip, postpaid);
  const bare = await scrip.open('bare');
  await scrip.accounts.closeAccount({ accountId: bare, requestId: requestId() });
  return { prepaid, postpaid, bare };
}

const hours = (many: number) => ({ seconds: BigInt(many * 3_600) });

/** The mutations of one account, each under a request id of its own. */
function accountOf({ billing, accounts }: TestService, accountId: string) {
  const named = () => ({ accountId, requestId: requestId() });
  const pages = (many: bigint) => [{ operation: 'job.pages', quantities: { pages: many } }];
  return {
    pages,
    reserve: async (rest: Omit<Parameters<typeof billing.reserve>[0], 'accountId'>) => {
      const { reservation } = await billing.reserve({ ...named(), reference: 'job', ...rest });
      return reservation?.reservationId ?? '';
    },
    commit: (
      reservationId: string,
      rest: Omit<Parameters<typeof billing.commit>[0], 'accountId'>,
    ) => billing.commit({ ...named(), reservationId, ...rest }),
    release: (reservationId: string) => billing.release({ ...named(), reservationId }),
    charge: async (rest: Omit<Parameters<typeof billing.charge>[0], 'accountId'>) =>
      (await billing.charge({ ...named(), labels: { team: 'a' }, ...rest })).entrySeq,
    refund: (seq: bigint, credits?: bigint) => billing.refund({ ...named(), seq, credits }),
    extend: (reservationId: string) =>
      billing.extendReservation({ ...named(), reservationId, ttl: hours(2) }),
    purchase: (paymentReference: string) =>
      billing.purchase({
        ...named(),
        packId: 'small',
        payment: { $case: 'paymentReference', value: paymentReference },
      }),
    grantCredits: (rest: Omit<Parameters<typeof accounts.grantCredits>[0], 'accountId'>) =>
      accounts.grantCredits({ ...named(), ...rest }),
    update: (displayName: string) => accounts.updateAccount({ ...named(), displayName }),
  };
}

async function everyWayToCharge(scrip: TestService, accountId: string) {
  const account = accountOf(scrip, accountId);
  await account.purchase('order-1');
  await account.grantCredits({
    credits: 15n,
    category: Grant_Category.ADJUSTMENT,
    effectiveAt: new Date(scrip.now() + HOUR),
    reference: 'from the next hour on',
  });
  const partly = await account.reserve({ usages: account.pages(80n), labels: { team: 'a' } });
  await account.commit(partly, { usages: account.pages(10n), final: false });
  await account.commit(partly, { credits: 5n });
  await account.release(await account.reserve({ credits: 6n }));
  const capped = await account.reserve({ credits: 5n, overCommitPolicy: OverCommitPolicy.CAP });
  await account.commit(capped, { usages: account.pages(3n) });
  const drawing = await account.reserve({ credits: 5n, overCommitPolicy: OverCommitPolicy.DRAW });
  await account.commit(drawing, { usages: account.pages(3n) });
  const refunded = await account.charge({ usages: account.pages(2n) });
  await account.refund(refunded, 2n);
  await account.refund(refunded);
  await account.commit(await account.reserve({ credits: 0n }), {});
  // All of it, and yet not final: it runs on with nothing held, until it expires.
  const emptied = await account.reserve({ credits: 12n });
  await account.commit(emptied, { final: false });
}

async function expiries(scrip: TestService, accountId: string) {
  const account = accountOf(scrip, accountId);
  const late = await account.reserve({ credits: 7n });
  scrip.advance(2 * MINUTE);
  await scrip.service.sweep();
  await account.commit(late, { credits: 4n });
  await account.reserve({ credits: 9n });
  const charged = await account.charge({ credits: 3n });
  scrip.advance(HOUR);
  await scrip.service.sweep();

  // The month's allowance lapses while most of what is left of it is reserved.
  scrip.setNow(Date.UTC(2031, 0, 31, 23, 30));
  const committed = await account.reserve({ credits: 6n, ttl: hours(2) });
  const released = await account.reserve({ credits: 5n, ttl: hours(2) });
  await account.reserve({ credits: 4n, ttl: { seconds: 2_700n } });
  scrip.advance(HOUR);
  await account.commit(committed, { credits: 1n });
  await account.release(released);
  await account.refund(charged);

  await account.extend(await account.reserve({ credits: 3n }));
  const half = await account.reserve({ credits: 8n, ttl: hours(2) });
  await account.commit(half, { credits: 2n, final: false });
  await account.update('renamed');
}

async function overage(scrip: TestService, accountId: string) {
  const account = accountOf(scrip, accountId);
  await account.charge({ credits: 24n });
  const partly = await account.reserve({ credits: 30n });
  await account.commit(partly, { credits: 12n, final: false });
  await account.commit(partly, { credits: 3n });
  const drawing = await account.reserve({ credits: 6n, overCommitPolicy: OverCommitPolicy.DRAW });
  await account.commit(drawing, { credits: 10n });
  await account.release(await account.reserve({ credits: 9n }));
  const late = await account.reserve({ credits: 5n });
  scrip.advance(2 * MINUTE);
  await account.commit(late, {});
  await account.refund(await account.charge({ credits: 5n }), 2n);
  const lastMonth = await account.charge({ credits: 20n });
  const overTheEnd = await account.reserve({ credits: 4n, ttl: hours(2) });

  scrip.setNow(Date.UTC(2031, 2, 1, 0, 10));
  await account.charge({ credits: 6n });
  // More than March has: an earlier month's refund leaves this one's overage as it is.
  await account.refund(lastMonth);
  await account.commit(overTheEnd, {}).catch(() => {}); // it has expired
  await account.reserve({ credits: 8n, ttl: hours(2) });
}
