/** What the checker accepts of a history, and what it does not. */
import { describe, expect, test } from 'vitest';
import type { BucketBalance, Entry } from '../../src/gen/billing/v1/ledger.ts';
import type { PackOffer } from '../../src/gen/billing/v1/pricing.ts';
import { compareOffers } from './expected-reads.ts';
import { History, OPENED_AT } from './model-history.ts';
import type { ReadSpec, RequestSpec } from './trace.ts';

/** When the allowance of the next day is due. */
const DUE_AT = Date.UTC(2031, 0, 31, 21, 30);

const PAST: ReadSpec = { read: 'past balance', point: { seq: 2 }, buckets: true };
const ENTRIES: ReadSpec = { read: 'entries', pageSize: 2 };
/** More than the account has: it is offered packs. */
const ESTIMATE: ReadSpec = {
  read: 'estimate',
  usages: [{ operation: 'doc.convert', quantities: { pages: 200 }, count: 1 }],
};
const OPEN = { do: 'open', plan: 'weekly', name: '' } as const;
const GRANT = { do: 'grant', credits: 5, category: 1 } as const;
const CHARGE = { do: 'charge', amount: { credits: 3 }, sheddable: false, reference: '' } as const;
/** Of a charge of a grant that has expired since: its credits become a new grant. */
const REFUND = { do: 'refund', of: 2, credits: null, reference: '' } as const;
const refusal = (reason: string) => ({ kind: 'refusal', reason, metadata: {} }) as const;

/** A grant that ends in a millisecond: later it is INVALID_FIELD. */
const ONE_MILLISECOND = { ...GRANT, expiresInMs: 1 } as const;

/** An atomic batch that is refused because its second request is too late, while the clocks go on. */
function tooLate(first: RequestSpec, until: number): History {
  const told = [refusal('BATCH_REFUSED'), refusal('REQUEST_EXPIRED')];
  const history = new History().request(0, OPEN);
  const between = () => void history.advanceTo(until);
  history.together(1, [first, { ...GRANT, notAfterMs: 0 }], { told, between });
  history.entries.splice(-2);
  return history;
}

/** What is due is not written: a past balance and a page of entries do not show it. */
function pastBeforeWhatIsDue(change: (entries: readonly Entry[]) => readonly Entry[]): History {
  const history = new History().request(0, OPEN).request(1, GRANT).advanceTo(DUE_AT);
  const entries = change(history.entries.toReversed().slice(0, 2));
  history.answer(history.sending(), PAST, history.see(PAST));
  history.answer(history.sending(), ENTRIES, { entries, nextPageToken: 'more' });
  return history.settle();
}

/** An estimate on a plan that the account left, and packs that it was offered since. */
function estimateWhilePacksChange(packsOf: (before: Packs, after: Packs) => Packs): History {
  const history = new History().request(0, { ...OPEN, plan: 'prepaid' });
  const sent = history.sending();
  const before = history.see(ESTIMATE) as { packs: Packs };
  history.request(1, { do: 'move', plan: 'weekly' });
  history.request(2, { do: 'offer', pack: 'own-1', credits: 30, days: 3 });
  const after = history.see(ESTIMATE) as { packs: Packs };
  const packs = packsOf(before.packs, after.packs).toSorted(compareOffers);
  return history.answer(sent, ESTIMATE, { ...before, packs });
}

type Packs = readonly PackOffer[];
const isMonth = ({ pack }: PackOffer): boolean => pack?.packId === 'month';
const isOwn = ({ pack }: PackOffer): boolean => pack?.packId === 'own-1';

const isOfGrant = ({ bucket }: BucketBalance): boolean => bucket?.grantId !== 0n;

/** A past balance of two grants whose buckets are listed in another order. */
function pastInOrder(order: (ofGrants: Buckets, others: Buckets) => Buckets): History {
  const spec: ReadSpec = { read: 'past balance', point: { seq: 4 }, buckets: true };
  const history = new History().request(0, OPEN).request(1, GRANT).request(2, CHARGE);
  const past = history.see(spec) as { buckets: Buckets };
  const others = past.buckets.filter((one) => !isOfGrant(one));
  expect(others.length).toBeGreaterThan(1);
  const buckets = order(past.buckets.filter(isOfGrant), others);
  return history.answer(history.sending(), spec, { ...past, buckets });
}

type Buckets = readonly BucketBalance[];

describe('the checker accepts', () => {
  test('a history of the model', () => {
    const history = new History().request(0, OPEN).read().advanceTo(DUE_AT).settle().read();
    expect(history.request(1, GRANT).read().check().seq).toBe(BigInt(history.entries.length));
  });

  test('a read between what was due and a request of the same millisecond', () => {
    const history = new History().request(0, OPEN).advanceTo(DUE_AT).settle();
    const sent = history.sending();
    history
      .advanceTo(DUE_AT + 10)
      .read()
      .request(1, GRANT, sent);
    expect(history.entries.at(-1)?.at).toEqual(new Date(DUE_AT));
    expect(() => history.check()).not.toThrow();
  });

  test('the past as it is stored, without what is due', () => {
    expect(() => pastBeforeWhatIsDue((entries) => entries).check()).not.toThrow();
  });

  test('buckets of no grant in any order', () => {
    const history = pastInOrder((ofGrants, others) => [...ofGrants, ...others.toReversed()]);
    expect(() => history.check()).not.toThrow();
  });

  test('an estimate whose own packs were read later than the rest', () => {
    const history = estimateWhilePacksChange((before, after) => [
      ...before,
      ...after.filter(isOwn),
    ]);
    expect(() => history.check()).not.toThrow();
  });
});

describe('of an atomic batch the checker', () => {
  const opened = () => new History().request(0, OPEN);

  test('accepts entries that follow each other', () => {
    const history = opened().together(1, [GRANT, GRANT]).request(2, GRANT).read();
    expect(() => history.check()).not.toThrow();
  });

  test('accepts that a part without an effect has one later, sent alone', () => {
    const same = { do: 'update', name: '' } as const;
    const history = opened().together(1, [GRANT, same]).request(2, { do: 'update', name: 'a' });
    history.request(3, same, history.sending(), 'request-1-1');
    expect(() => history.check()).not.toThrow();
  });

  test('refuses entries with another one between them', () => {
    const history = opened();
    history.together(1, [GRANT, GRANT], { between: () => history.request(2, GRANT) });
    expect(() => history.check()).toThrow('do not follow each other');
  });

  const withRefund = (between?: (history: History) => void) => {
    const history = opened().request(1, ONE_MILLISECOND).request(2, CHARGE);
    history.advanceTo(OPENED_AT + 10).settle();
    return history.together(3, [REFUND, CHARGE], { between: () => between?.(history) });
  };

  test('accepts a grant that a request makes beside its entry', () => {
    const history = withRefund();
    expect(history.entries.filter(({ requestId }) => requestId === 'request-3-0').length).toBe(2);
    expect(() => history.check()).not.toThrow();
  });

  test('refuses a read after a grant that a request makes beside its entry', () => {
    const history = withRefund((going) => going.read());
    expect(() => history.check()).toThrow('is right at no seq');
  });

  test('refuses a read between them', () => {
    const history = opened();
    history.together(1, [GRANT, GRANT], { between: () => history.read() });
    expect(() => history.check()).toThrow('is right at no seq');
  });

  test('refuses that it took effect where it was refused', () => {
    const told = [refusal('BATCH_REFUSED'), refusal('REQUEST_ID_REUSED')];
    const history = opened().together(1, [GRANT, GRANT], { told });
    expect(() => history.check()).toThrow('took effect in a batch that was refused');
  });

  test('accepts that a request was too late, and the one before it decided in time', () => {
    expect(() => tooLate(ONE_MILLISECOND, OPENED_AT + 10).check()).not.toThrow();
  });

  test('refuses that a request was too late while the clocks stood still', () => {
    expect(() => tooLate(ONE_MILLISECOND, OPENED_AT).check()).toThrow('is right at no seq');
  });

  test('refuses that only the second of two was too late, if both were', () => {
    const history = tooLate({ ...ONE_MILLISECOND, notAfterMs: 0 }, OPENED_AT + 10);
    expect(() => history.check()).toThrow('must be refused with REQUEST_EXPIRED');
  });

  test('refuses a refusal that only another of its requests would have earned', () => {
    const told = [refusal('INSUFFICIENT_CREDITS'), refusal('BATCH_REFUSED')];
    const history = opened().together(1, [GRANT, GRANT], { told });
    history.entries.splice(-2);
    expect(() => history.check()).toThrow('is right at no seq');
  });
});

describe('the checker refuses', () => {
  test.each<[string, (before: Packs, after: Packs) => Packs]>([
    ['without a pack of the plan', ([, ...others], after) => [...others, ...after.filter(isOwn)]],
    ['of two plans', (before, after) => [...before, ...after.filter(isMonth)]],
    [
      'of another price',
      (before, after) => [
        ...before,
        ...after.filter(isOwn).map((own) => ({ ...own, quantity: 1n })),
      ],
    ],
  ])('an estimate with packs %s', (_, packsOf) => {
    expect(() => estimateWhilePacksChange(packsOf).check()).toThrow('is right at no seq');
  });

  test.each<[string, (entries: readonly Entry[]) => readonly Entry[]]>([
    ['oldest first', (entries) => entries.toReversed()],
    ['with one left out', (entries) => entries.slice(1)],
    ['with another amount', (entries) => entries.map((entry) => ({ ...entry, credits: 4n }))],
  ])('a page of entries %s', (_, change) => {
    expect(() => pastBeforeWhatIsDue(change).check()).toThrow('is right at no seq');
  });

  test.each([{ remaining: 1n }, { buckets: [] }, { seq: 1n }])(
    'a past balance with %o',
    (wrong) => {
      const history = new History().request(0, OPEN).request(1, GRANT);
      history.answer(history.sending(), PAST, { ...history.see(PAST), ...wrong });
      expect(() => history.check()).toThrow('is right at no seq');
    },
  );

  test.each<[string, (ofGrants: Buckets, others: Buckets) => Buckets]>([
    ['of grants in another order', (ofGrants, others) => [...ofGrants.toReversed(), ...others]],
    ['without one', (ofGrants, [, ...others]) => [...ofGrants, ...others]],
  ])('buckets %s', (_, order) => {
    expect(() => pastInOrder(order).check()).toThrow('is right at no seq');
  });

  test('a read of credits that there never were', () => {
    const history = new History().request(0, OPEN).read({ grants: [] });
    expect(() => history.check()).toThrow('is right at no seq');
  });

  test('a read of what is due as if it were not written yet', () => {
    const history = new History().request(0, OPEN).advanceTo(DUE_AT).read().settle();
    expect(() => history.check()).toThrow('is right at no seq');
  });

  test('an entry that nobody asked for', () => {
    const history = new History().request(0, OPEN).request(1, GRANT);
    history.attempts.pop();
    expect(() => history.check()).toThrow('nobody asked for entry');
  });
});
