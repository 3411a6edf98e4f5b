/** grant.expiring: notice of an expiry, given once while the credits can still be spent. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { EventDraft } from '../../src/ledger/event.ts';
import type { Grant } from '../../src/ledger/grant.ts';
import { AccountStore } from './account-store.ts';
import {
  allowance,
  at,
  charge,
  checkout,
  grantCredits,
  ms,
  open,
  pack,
  paid,
  plan,
  purchase,
  refund,
  reserve,
  START,
  syncPurchase,
} from './fixtures.ts';

const NOTICE = { expiringNoticeMs: ms('7d') };

type Step = readonly [when: string, command: Parameters<AccountStore['run']>[1]];

/** The notices that these commands cause, as "date grant credits". */
function noticesOf(testPlan: ReturnType<typeof plan>, steps: readonly Step[]) {
  const store = new AccountStore(testPlan, START);
  const events: EventDraft[] = [];
  for (const [when, command] of [['0s', open()] as Step, ...steps])
    events.push(...store.run(at(when), command).book.changes.events);
  return events
    .filter(({ type }) => type === 'grant.expiring')
    .map(
      ({ at: when, data }) =>
        `${new Date(when).toISOString().slice(0, 10)} g${data['grant_id']} ${data['remaining']}`,
    );
}

const JANUARY_30 = at('2026-01-30');

describe('notice of an expiry', () => {
  test('has the grant, its remaining credits, its expiry and its category', () => {
    const store = new AccountStore(plan(NOTICE), START);
    store.run(START, open());
    store.run(START, grantCredits(30n, { expiresAt: JANUARY_30, category: 'PROMOTIONAL' }));
    store.run(START, charge(10n));
    expect(store.account.dueAt).toBe(at('2026-01-23'));
    const { book } = store.run(at('2026-01-23'), null);
    expect(book.changes.events).toMatchObject([
      {
        type: 'grant.expiring',
        at: at('2026-01-23'),
        data: {
          grant_id: '1',
          remaining: '20',
          expires_at: '2026-01-30T00:00:00.000Z',
          category: 'PROMOTIONAL',
        },
      },
    ]);
    expect(store.account.dueAt).toBe(JANUARY_30);
  });

  test('is given when a dispute over all credits is won after notice was due', () => {
    const brief = { ...pack('brief', 100n, '5.00'), validity: { days: 10 } };
    const steps: readonly Step[] = [
      ['0s', checkout('brief')],
      ['1h', syncPurchase('p1', 0, paid(0n, 'OPEN', '5.00'))],
      ['2026-01-15', syncPurchase('p1', 1, paid(0n, 'WON', '5.00'))],
      ['2026-01-16', null],
    ];
    expect(noticesOf(plan(NOTICE, [brief]), steps)).toEqual(['2026-01-15 g1 100']);
  });

  test.each<[string, readonly Step[], readonly string[]]>([
    [
      'is given once, whatever happens before the expiry',
      [
        ['0s', grantCredits(30n, { expiresAt: JANUARY_30 })],
        ['2026-01-23', charge(1n)],
        ['2026-01-24', charge(1n)],
        ['2026-01-30', null],
      ],
      ['2026-01-23 g1 30'],
    ],
    [
      'is given at once for a grant that is made after notice was due',
      [
        ['0s', grantCredits(30n, { expiresAt: at('2d') })],
        ['1s', charge(1n)],
      ],
      ['2026-01-10 g1 30'],
    ],
    [
      'is given when the grant becomes effective, not before',
      [
        ['0s', grantCredits(30n, { effectiveAt: at('2d'), expiresAt: at('5d') })],
        ['1d', null],
        ['2d', null],
      ],
      ['2026-01-12 g1 30'],
    ],
    [
      'is not given for a grant without credits',
      [
        ['0s', grantCredits(30n, { expiresAt: JANUARY_30 })],
        ['1d', charge(30n)],
        ['2026-01-24', null],
      ],
      [],
    ],
    [
      'is given for a grant whose remaining credits are all reserved',
      [
        ['0s', grantCredits(30n, { expiresAt: JANUARY_30 })],
        ['2026-01-22T23:59Z', reserve(30n)],
        ['2026-01-23', null],
      ],
      ['2026-01-23 g1 30'],
    ],
    [
      'is given when a refund brings credits back after notice was due',
      [
        ['0s', grantCredits(30n, { expiresAt: JANUARY_30 })],
        ['1d', charge(30n)],
        ['2026-01-25', refund(3n, 5n)],
        ['2026-01-26', refund(3n, 5n)],
      ],
      ['2026-01-25 g1 5'],
    ],
    [
      'is given on time when a refund brings credits back before notice is due',
      [
        ['0s', grantCredits(30n, { expiresAt: JANUARY_30 })],
        ['1d', charge(30n)],
        ['2d', refund(3n, 5n)],
        ['2026-01-23', null],
      ],
      ['2026-01-23 g1 5'],
    ],
    [
      'is not given for a grant that had expired before its account was settled',
      [
        ['0s', grantCredits(30n, { expiresAt: JANUARY_30 })],
        ['2026-01-30', null],
      ],
      [],
    ],
    [
      'is not given for a grant that never expires',
      [
        ['0s', grantCredits(30n)],
        ['30d', null],
      ],
      [],
    ],
    [
      'is given for packs',
      [
        ['0s', purchase('small', 'INV-1')],
        ['340d', null],
        ['360d', null],
      ],
      ['2027-01-05 g1 30'],
    ],
  ])('%s', (_, steps, expected) => {
    expect(noticesOf(plan(NOTICE, [pack('small', 30n, '5.00')]), steps)).toEqual(expected);
  });

  test('is not given for allowances, nor with an expiring_notice of 0', () => {
    expect(noticesOf(plan({ ...NOTICE, ...allowance(50n) }), [['14d', null]])).toEqual([]);
    const expiring: Step = ['0s', grantCredits(30n, { expiresAt: JANUARY_30 })];
    expect(noticesOf(plan(), [expiring, ['2026-01-24', null]])).toEqual([]);
  });

  test('is given at the opening for welcome credits that expire soon', () => {
    const welcome = { credits: 20n, validity: { days: 3 } };
    expect(noticesOf(plan({ ...NOTICE, welcome }), [])).toEqual(['2026-01-10 g1 20']);
  });

  test('is given exactly once per grant with credits, whenever the account is settled', () => {
    const grants = fc.array(
      fc.record({ madeDay: fc.nat(20), lifeDays: fc.integer({ min: 1, max: 40 }) }),
      { minLength: 1, maxLength: 6 },
    );
    const settledDays = fc.array(fc.nat(60), { maxLength: 30 });
    fc.assert(
      fc.property(grants, settledDays, (all, days) => {
        const steps: (readonly [day: number, command: Step[1]])[] = [
          ...all.map(
            ({ madeDay, lifeDays }) =>
              [madeDay, grantCredits(5n, { expiresAt: at(`${madeDay + lifeDays}d`) })] as const,
          ),
          ...days.map((day) => [day, null] as const),
        ];
        const store = new AccountStore(plan(NOTICE), START);
        store.run(START, open());
        const seen = new Map<bigint, number>();
        for (const [day, command] of steps.toSorted((a, b) => a[0] - b[0])) {
          const now = at(`${day}d`);
          const { book } = store.run(now, command);
          for (const { type, data } of book.changes.events) {
            if (type !== 'grant.expiring') continue;
            const grantId = BigInt(data['grant_id'] ?? 0);
            expect(seen.has(grantId)).toBe(false);
            seen.set(grantId, now);
          }
          for (const grant of store.grants.values()) expectNotice(grant, seen, now);
        }
      }),
      { numRuns: 200 },
    );
  });
});

/** Notice is given from seven days before the expiry on, when the account is settled, and never after it. */
function expectNotice(
  { grantId, expiresAt, createdAt }: Grant,
  seen: ReadonlyMap<bigint, number>,
  now: number,
) {
  const until = expiresAt ?? 0;
  const when = seen.get(grantId);
  if (now < until) expect(when !== undefined).toBe(now >= until - ms('7d'));
  if (when !== undefined) {
    expect(when).toBeGreaterThanOrEqual(Math.max(until - ms('7d'), createdAt));
    expect(when).toBeLessThan(until);
  }
}
