/** Whatever happened on an account: each entry belongs to one path, whose steps are exactly its charge, in order. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Entry, Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { DAY, defined, entriesOf, MINUTE } from '../accounts.ts';
import { type Cluster, outcomeOf, startCluster } from '../cluster/cluster.ts';
import { planIn } from '../pricing/fixtures.ts';
import { plansOfDeploy, requestId, type TestService } from '../service.ts';
import { kindsOf, named, pathOf, seqsOf } from './traced.ts';

/** Welcome credits that expire soon, are carried nowhere, and come back as new grants. */
const SHORT = planIn(`
plan_id: short
title: Credits that expire soon
terms:
  welcome: { credits: 50, validity: 1 day }
  refund_expired: new_grant
packs:
  - { pack_id: pack, title: Pack, credits: 100, price: 1.00 USD, validity: never }
operations:
  job:
    title: Job
    billable: true
    components: [{ kind: flat, label: Job, credits: 1 }]
`);

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ plans: [...(await plansOfDeploy()), SHORT] });
});
afterAll(() => cluster.stop());

type Step =
  | { readonly kind: 'reserve' | 'charge' | 'purchase' | 'wait' | 'tomorrow' | 'sweep' | 'rename' }
  | {
      readonly kind: 'extend' | 'raise' | 'commit' | 'finish' | 'release' | 'refund';
      readonly of: number;
    };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constantFrom(
      'reserve',
      'reserve',
      'charge',
      'purchase',
      'wait',
      'tomorrow',
      'sweep',
      'rename',
    ),
  }),
  fc.record({
    kind: fc.constantFrom('extend', 'raise', 'commit', 'finish', 'release', 'refund', 'refund'),
    of: fc.nat(5),
  }),
) as fc.Arbitrary<Step>;

/** What the calls made. */
type Made = { readonly reservations: string[]; readonly charged: bigint[] };

const pick = <Value>(values: readonly Value[], of: number): Value | undefined =>
  values[of % values.length];

async function run({ billing, accounts }: TestService, accountId: string, one: Step, made: Made) {
  const call = named(accountId);
  switch (one.kind) {
    case 'reserve': {
      const ttl = { seconds: 60n };
      const { reservation } = await billing.reserve({ ...call, credits: 5n, ttl });
      made.reservations.push(defined(reservation).reservationId);
      return;
    }
    case 'charge':
      made.charged.push((await billing.charge({ ...call, credits: 3n })).entrySeq);
      return;
    case 'purchase': {
      const payment = { $case: 'paymentReference', value: requestId() } as const;
      await billing.purchase({ ...call, packId: 'pack', payment });
      return;
    }
    case 'wait':
      cluster.advance(MINUTE);
      return;
    case 'tomorrow':
      cluster.advance(DAY);
      return;
    case 'sweep':
      await cluster.sweep();
      return;
    case 'rename':
      await accounts.updateAccount({ ...call, displayName: requestId() });
      return;
    case 'refund': {
      const seq = pick(made.charged, one.of);
      if (seq) await billing.refund({ ...call, seq, credits: 1n, reason: 'a test' });
      return;
    }
    default: {
      const reservationId = pick(made.reservations, one.of);
      if (reservationId) await use(billing, one.kind, { ...call, reservationId }, made);
    }
  }
}

async function use(
  billing: TestService['billing'],
  kind: 'extend' | 'raise' | 'commit' | 'finish' | 'release',
  call: ReturnType<typeof named> & { readonly reservationId: string },
  { charged }: Made,
) {
  switch (kind) {
    case 'extend':
      await billing.extendReservation({ ...call, ttl: { seconds: 120n } });
      return;
    case 'raise':
      await billing.raiseReservation({ ...call, credits: 2n });
      return;
    case 'commit':
      charged.push((await billing.commit({ ...call, credits: 1n, final: false })).entrySeq);
      return;
    case 'finish':
      charged.push((await billing.commit({ ...call, credits: 2n })).entrySeq);
      return;
    case 'release':
      await billing.release(call);
  }
}

/** What each entry belongs to, by reading the whole history. */
function chargesOf(entries: readonly Entry[]): Map<string, bigint[]> {
  const charges = new Map<string, bigint[]>();
  const names = new Map<bigint, string>();
  let ofRequest = '';
  let requestOf = '';
  for (const entry of entries) {
    const { seq, kind, reservationId, purchaseId, refundedSeq } = entry;
    const own = reservationId || purchaseId || names.get(refundedSeq);
    // Of GRANT entries only those that a request wrote after its first entry belong to another entry.
    const follows =
      kind === Entry_Kind.GRANT && entry.requestId !== '' && entry.requestId === requestOf;
    const name = own ?? (follows ? ofRequest : `entry ${seq}`);
    names.set(seq, name);
    charges.set(name, [...(charges.get(name) ?? []), seq]);
    ofRequest = name;
    requestOf = entry.requestId;
  }
  return charges;
}

const REFUSED = [
  'OK',
  'EXCEEDS_COMMIT',
  'EXCEEDS_RESERVATION',
  'INSUFFICIENT_CREDITS',
  'RESERVATION_COMMITTED',
  'RESERVATION_RELEASED',
  'RESERVATION_EXPIRED',
];

test('the steps of a path are exactly the entries of the charge, in the order of their seqs', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
      const accountId = await cluster.a.open('short');
      const call = { ...named(accountId), packId: 'pack' };
      const payment = { $case: 'paymentReference', value: 'first' } as const;
      await cluster.a.billing.purchase({ ...call, payment });
      const made: Made = { reservations: [], charged: [] };
      for (const [index, one] of steps.entries()) {
        const replica = index % 2 === 0 ? cluster.a : cluster.b;
        // What cannot be done any more, as a commit of what was released, leaves no entry.
        const { reason } = await outcomeOf(run(replica, accountId, one, made));
        expect(REFUSED).toContain(reason);
      }
      const entries = await entriesOf(cluster.a, accountId);
      for (const [, seqs] of chargesOf(entries))
        for (const seq of seqs) {
          const path = await pathOf(cluster.b, { $case: 'entrySeq', value: seq }, accountId);
          expect(seqsOf(path)).toEqual(seqs);
          expect(path.gaps).toEqual([]);
        }
    }),
    { numRuns: 12 },
  );
});

test('the grant in which a refund gives expired credits back is a step of the charge', async () => {
  const accountId = await cluster.a.open('short');
  const { entrySeq: seq } = await cluster.a.billing.charge({ ...named(accountId), credits: 3n });
  cluster.advance(2 * DAY);
  const refund = { ...named(accountId), seq, all: true, reason: 'a test' };
  await cluster.b.billing.refund(refund);
  const path = await pathOf(cluster.a, { $case: 'entrySeq', value: seq }, accountId);
  expect(kindsOf(path)).toEqual(['CHARGE', 'REFUND', 'GRANT']);
  expect(path.grants).toHaveLength(2);
  const last = defined(seqsOf(path).at(-1));
  expect(seqsOf(await pathOf(cluster.b, { $case: 'entrySeq', value: last }, accountId))).toEqual(
    seqsOf(path),
  );
});
