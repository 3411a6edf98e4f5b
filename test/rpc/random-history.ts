/** Accounts with random histories, made through the service: for what must hold of any history. */
import { Metadata } from '@grpc/grpc-js';
import fc from 'fast-check';
import { ScripError } from '../../src/client.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { DAY, HOUR } from '../accounts.ts';
import { planIn } from '../pricing/fixtures.ts';
import { requestId, type TestService } from '../service.ts';

/** Welcome credits that expire soon and come back as new grants, and overage where nothing is left. */
export const EVENTFUL = planIn(`
plan_id: eventful
title: Much happens by itself
terms:
  welcome: { credits: 50, validity: 1 day }
  allowance: { credits: 7, every: month, rollover: none }
  refund_expired: new_grant
  overage: { limit: 1000 }
packs: []
operations:
  job:
    title: Job
    billable: true
    components: [{ kind: flat, label: Job, credits: 1 }]
`);

export type Step = {
  readonly kind:
    | 'grant'
    | 'grant limited'
    | 'grant later'
    | 'grant expiring'
    | 'reserve'
    | 'commit'
    | 'commit a part'
    | 'release'
    | 'charge'
    | 'refund'
    | 'void'
    | 'rename'
    | 'hour'
    | 'days'
    | 'sweep';
  readonly credits: number;
  /** Which of the reservations, charges or grants; of which trace, reference and label. */
  readonly of: number;
};

const KINDS: readonly Step['kind'][] = [
  'grant',
  'grant limited',
  'grant later',
  'grant expiring',
  'reserve',
  'reserve',
  'commit',
  'commit a part',
  'release',
  'charge',
  'charge',
  'refund',
  'refund',
  'void',
  'rename',
  'hour',
  'days',
  'sweep',
];

export const steps = (length: number): fc.Arbitrary<readonly Step[]> =>
  fc.array(
    fc.record({
      kind: fc.constantFrom(...KINDS),
      credits: fc.integer({ min: 1, max: 40 }),
      of: fc.nat(5),
    }),
    { minLength: length, maxLength: length },
  );

export const traceOf = (of: number): string => `${of + 1}`.repeat(32);
export const referenceOf = (of: number): string => `job-${of % 3}`;
export const labelsOf = (of: number): ReadonlyMap<string, string> =>
  mapOf(of % 2 === 0 ? { team: `${of}`, all: 'yes' } : { all: 'yes' });

type Made = { readonly reservations: string[]; readonly charged: bigint[] };

/** Opens an account of the plan EVENTFUL and takes the steps. What is refused changes nothing. */
export async function makeHistory(scrip: TestService, all: readonly Step[]): Promise<string> {
  const accountId = await scrip.open('eventful');
  const made: Made = { reservations: [], charged: [] };
  for (const step of all)
    await take(scrip, accountId, made, step).catch((error: unknown) => {
      if (!(error instanceof ScripError)) throw error;
    });
  return accountId;
}

async function take(scrip: TestService, accountId: string, made: Made, step: Step) {
  const { kind, of } = step;
  const { billing, accounts } = scrip;
  const named = { accountId, requestId: requestId() };
  const credits = BigInt(step.credits);
  const job = { reference: referenceOf(of), labels: new Map(labelsOf(of)) };
  const metadata = new Metadata();
  metadata.set('traceparent', `00-${traceOf(of)}-00000000000000aa-01`);
  const call = { metadata };
  const reservationId = made.reservations.at(of % Math.max(1, made.reservations.length)) ?? '';
  const seq = made.charged.at(of % Math.max(1, made.charged.length)) ?? 0n;
  const granted = { ...named, credits, category: Grant_Category.PAID, reason: 'a test', ...job };
  switch (kind) {
    case 'grant':
      return await accounts.grantCredits(granted, call);
    case 'grant limited':
      return await accounts.grantCredits({ ...granted, onlyFor: { operations: ['job'] } }, call);
    case 'grant later':
      return await accounts.grantCredits({ ...granted, effectiveAt: new Date(scrip.now() + DAY) });
    case 'grant expiring':
      return await accounts.grantCredits({ ...granted, expiresAt: new Date(scrip.now() + HOUR) });
    case 'reserve': {
      const { reservation } = await billing.reserve({ ...named, credits, ...job }, call);
      return made.reservations.push(reservation?.reservationId ?? '');
    }
    case 'commit': {
      const { entrySeq } = await billing.commit({ ...named, reservationId, all: true }, call);
      return made.charged.push(entrySeq);
    }
    case 'commit a part':
      return await billing.commit({ ...named, reservationId, credits: 1n, final: false });
    case 'release':
      return await billing.release({ ...named, reservationId });
    case 'charge': {
      const { entrySeq } = await billing.charge({ ...named, credits, ...job }, call);
      return made.charged.push(entrySeq);
    }
    case 'refund':
      return await billing.refund({ ...named, seq, credits: 1n, reason: 'a test', ...job });
    case 'void':
      return await accounts.voidGrant({
        ...named,
        grantId: BigInt(of + 1),
        credits: 1n,
        reason: 'x',
      });
    case 'rename':
      return await accounts.updateAccount({ ...named, displayName: `${step.credits}` });
    case 'hour':
      return scrip.advance(HOUR);
    case 'days':
      return scrip.advance(step.credits * DAY);
    case 'sweep':
      return await scrip.service.sweep();
  }
}
