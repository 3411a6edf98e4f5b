/** The model of a partial commit accepts every choice of held grants that the contract leaves open, and no other. */
import { describe, expect, test } from 'vitest';
import {
  Grant_Category,
  Grant_Source,
  Grant_State,
  OverCommitPolicy,
  Reservation_State,
} from '../../src/gen/billing/v1/ledger.ts';
import { commitParts } from './model/commit-parts.ts';
import { priceOf } from './model/prices.ts';
import { Refusal } from './model/refusal.ts';
import {
  AccountState,
  type GrantState,
  type Need,
  OVERAGE,
  type Part,
  SERVICE,
} from './model/state.ts';
import { STARTS_AT } from './simulation.ts';

/** Credits by grant; overage is grant 0, and comes last. */
const parts = (credits: Readonly<Record<number, bigint>>): readonly Part[] =>
  Object.entries(credits)
    .map(([grantId, here]) => ({ grantId: BigInt(grantId), credits: here }))
    .toSorted((a, b) => Number(a.grantId === OVERAGE) - Number(b.grantId === OVERAGE));

const grant = (grantId: bigint, reserved: bigint, available: bigint): GrantState => ({
  grantId,
  amount: reserved + available,
  remaining: reserved + available,
  reserved,
  voided: 0n,
  toVoid: 0n,
  expired: 0n,
  category: Grant_Category.PAID,
  priority: 50,
  effectiveAt: STARTS_AT,
  expiresAt: null,
  source: Grant_Source.OPERATOR,
  sourceReference: '',
  operations: OPERATIONS[Number(grantId)] ?? [],
  createdAt: STARTS_AT,
  state: Grant_State.OPEN,
});

/** What each grant is limited to; grant 4 is not. */
const OPERATIONS: Readonly<Record<number, readonly string[]>> = {
  1: ['doc.convert', 'doc.scan'],
  2: ['doc.convert', 'image.scale'],
  3: ['doc.scan'],
};

/** The commit of pages, in part, that takes `taken` of what is held. */
function commitOf(
  pages: bigint,
  taken: readonly Part[],
  { held, heldFor, available = {} }: Held,
): ReturnType<typeof commitParts> {
  const state = new AccountState('account-0');
  state.planId = 'counted';
  for (const { grantId, credits } of held)
    if (grantId === OVERAGE) state.overageReserved = credits;
    else state.grants.set(grantId, grant(grantId, credits, available[Number(grantId)] ?? 0n));
  const usage = {
    operation: 'doc.convert',
    quantities: new Map([['pages', pages]]),
    attributes: new Map(),
    count: 1n,
  };
  const priced = priceOf({ items: [usage] });
  if (priced instanceof Refusal) throw new Error(priced.reason);
  return commitParts(state, { ...RESERVATION, held, heldFor }, priced, false, {
    now: STARTS_AT,
    loadedAt: STARTS_AT,
    author: SERVICE,
    reservationId: '',
    purchaseId: '',
    importedIds: [],
    takenOfHeld: taken,
  });
}

type Held = {
  readonly held: readonly Part[];
  readonly heldFor: readonly Need[];
  /** Credits that are not held, by grant. */
  readonly available?: Readonly<Record<number, bigint>>;
};

const RESERVATION = {
  reservationId: 'r1',
  seq: 1n,
  state: Reservation_State.ACTIVE,
  credits: 0n,
  committed: 0n,
  returned: 0n,
  lapsed: [],
  expiresAt: STARTS_AT + 1,
  usedAt: null,
  createdAt: STARTS_AT,
  endedAt: null,
  asked: null,
  policy: OverCommitPolicy.REJECT,
  planId: 'counted',
  rateCardVersion: 1n,
  reference: '',
  labels: new Map(),
  late: false,
  lines: [],
  wasCommitted: false,
  heldShares: new Map(),
  spentShares: new Map(),
};

const pages = (credits: bigint): Need => ({ operation: 'doc.convert', credits });
const scans = (credits: bigint): Need => ({ operation: 'doc.scan', credits });

describe('a partial commit', () => {
  test('takes any of the grants that can pay, if the rest needs none of them', () => {
    const reserved = { held: parts({ 1: 5n, 2: 5n }), heldFor: [pages(10n)] };
    for (const taken of [parts({ 1: 5n }), parts({ 2: 5n }), parts({ 1: 2n, 2: 3n })])
      expect(commitOf(5n, taken, reserved)).toMatchObject({ fromHeld: taken, fromAvailable: [] });
  });

  test('leaves what the rest of its reservation needs', () => {
    const reserved = { held: parts({ 1: 5n, 2: 5n }), heldFor: [pages(5n), scans(5n)] };
    expect(commitOf(5n, parts({ 2: 5n }), reserved)).toMatchObject({ rest: parts({ 1: 5n }) });
    expect(() => commitOf(5n, parts({ 1: 1n, 2: 4n }), reserved)).toThrow('the rest');
  });

  test('takes the amount that was asked for, of what is held', () => {
    const reserved = { held: parts({ 1: 5n, 4: 5n }), heldFor: [pages(10n)] };
    expect(() => commitOf(5n, parts({ 1: 4n }), reserved)).toThrow('another amount');
    expect(() => commitOf(7n, parts({ 1: 7n }), reserved)).toThrow('more than is held');
  });

  test('takes limited credits for their operations only', () => {
    const reserved = { held: parts({ 3: 5n, 4: 5n }), heldFor: [pages(5n), scans(5n)] };
    expect(() => commitOf(5n, parts({ 3: 1n, 4: 4n }), reserved)).toThrow('cannot pay');
  });

  test('takes held overage last, and gives it back for what grants can pay by then', () => {
    const reserved = {
      held: parts({ 1: 14n, 0: 7n }),
      heldFor: [pages(21n)],
      available: { 1: 6n },
    };
    expect(commitOf(21n, parts({ 1: 14n, 0: 7n }), reserved)).toEqual({
      fromHeld: parts({ 1: 14n, 0: 1n }),
      fromAvailable: parts({ 1: 6n }),
      rest: [],
      spared: parts({ 0: 6n }),
    });
    expect(() => commitOf(10n, parts({ 1: 9n, 0: 1n }), reserved)).toThrow('overage');
  });
});
