/** What the model says of shadow mode, and which decisions the checker accepts. */
import { describe, expect, test } from 'vitest';
import type { ShadowDecision } from '../../src/gen/billing/v1/account_service.ts';
import { History, OPENED_AT } from './model-history.ts';
import type { RequestSpec } from './trace.ts';

const OPEN = { do: 'open', plan: 'prepaid', name: '' } as const;
const ON = { do: 'shadow', enabled: true } as const;
const OFF = { do: 'shadow', enabled: false } as const;
const GRANT = { do: 'grant', credits: 25, category: 1 } as const;
const RELEASE = { do: 'release', of: 2 } as const;
const charge = (credits: number): RequestSpec => ({
  ...{ do: 'charge', amount: { credits }, sheddable: false, reference: '' },
});
const reserve = (credits: number): RequestSpec => ({
  ...{ do: 'reserve', amount: { credits }, policy: 1, sheddable: false, reference: '' },
  ttlMs: 60_000,
});

/** Of 40 welcome credits. */
function shadowed(...specs: readonly RequestSpec[]): History {
  const history = new History().request(0, OPEN).request(1, ON);
  for (const [index, spec] of specs.entries()) history.request(index + 2, spec);
  return history;
}

const textOf = ({ credits, refusedBecause, availableAfter }: ShadowDecision): string =>
  `${credits} ${refusedBecause} left ${availableAfter}`;

describe('in shadow mode', () => {
  test.each<readonly [string, readonly RequestSpec[], readonly string[]]>([
    [
      'work runs down a balance of its own',
      [charge(15), charge(20)],
      ['15  left 25', '20  left 5'],
    ],
    [
      'what would be refused uses nothing',
      [charge(30), charge(11), charge(10)],
      ['30  left 10', '11 INSUFFICIENT_CREDITS left 10', '10  left 0'],
    ],
    [
      'what follows from a refused job uses nothing',
      [reserve(50), { do: 'raise', of: 2, amount: { credits: 5 } }, charge(40)],
      ['50 INSUFFICIENT_CREDITS left 40', '5  left 40', '40  left 0'],
    ],
    ['what is granted is real', [charge(30), GRANT, charge(11)], ['30  left 10', '11  left 24']],
    ['a job gives back what it held', [reserve(30), RELEASE], ['30  left 10', '30  left 40']],
    [
      'it begins again with the balance of then',
      [charge(30), OFF, charge(5), ON, charge(35)],
      ['30  left 10', '35  left 0'],
    ],
  ])('%s', (_, specs, expected) => {
    const history = shadowed(...specs).read();
    expect(history.decisions.map(textOf)).toEqual(expected);
    expect(() => history.check()).not.toThrow();
  });

  test('nothing is charged', () => {
    const state = shadowed(charge(15), reserve(10)).check();
    expect({ remaining: state.remaining, reserved: state.reserved }).toEqual({
      remaining: 40n,
      reserved: 0n,
    });
  });

  test('the balance in an answer counts what real jobs hold', () => {
    const history = new History().request(0, OPEN).request(1, reserve(30)).request(2, ON);
    const { outcome } = history.request(3, charge(10)).attempts.at(-1) ?? {};
    expect(outcome).toMatchObject({
      answer: { balance: { remaining: 30n, reserved: 30n, available: 0n, usable: 30n } },
    });
  });

  test('a job that nobody ends expires with the next work', () => {
    const history = shadowed(reserve(30))
      .advanceTo(OPENED_AT + 60_000)
      .request(9, charge(40));
    expect(history.decisions.map(textOf)).toEqual(['30  left 10', '30  left 40', '40  left 0']);
    expect(() => history.check()).not.toThrow();
  });
});

describe('an answer without an effect', () => {
  /** It is sent after an entry, and a decision whose answer is lost is made after it, or before that entry. */
  function beforeDecision(): History {
    const history = new History().request(0, OPEN).request(1, reserve(10)).request(2, ON);
    history.request(3, reserve(5)).request(4, { do: 'commit', of: 3, amount: { credits: 5 } });
    const sent = history.sending();
    history.request(5, { do: 'commit', of: 1, amount: { credits: 10 } });
    // It repeats the other one.
    history.request(6, { do: 'commit', of: 3, amount: { credits: 5 } }).request(7, charge(1), sent);
    Object.assign(history.attempts.at(-1) ?? {}, { outcome: { kind: 'unknown' } });
    return history;
  }

  test('may come before a decision that could also have been made before the last entry', () => {
    expect(() => beforeDecision().check()).not.toThrow();
  });

  test('must be right before it', () => {
    const history = beforeDecision();
    const { outcome } = history.attempts.find(({ step }) => step === 6) ?? {};
    if (outcome?.kind !== 'answer' || !('balance' in outcome.answer)) throw new Error('no answer');
    Object.assign(outcome.answer.balance ?? {}, { available: 7n });
    expect(() => history.check()).toThrow('is right at no seq');
  });
});

describe('an atomic batch', () => {
  const batch = (...specs: readonly RequestSpec[]) => shadowed().shadowBatch(2, specs);

  test('that is allowed uses what all of it use', () => {
    const history = batch(charge(15), reserve(20)).request(3, charge(5));
    expect(history.decisions.map(textOf)).toEqual(['15  left 25', '20  left 5', '5  left 0']);
    expect(() => history.check()).not.toThrow();
  });

  test('of which one would be refused uses nothing', () => {
    const history = batch(charge(30), charge(11), charge(5)).request(3, charge(40));
    expect(history.decisions.map(textOf)).toEqual([
      '30 BATCH_REFUSED left 40',
      '11 INSUFFICIENT_CREDITS left 40',
      '5 BATCH_REFUSED left 40',
      '40  left 0',
    ]);
    const [first, second] = history.decisions.map((one) => Object.fromEntries(one.refusalMetadata));
    expect(first).toMatchObject({ index: '1', refusal: 'INSUFFICIENT_CREDITS' });
    expect(second).toMatchObject({ required: '11', available: '10' });
    expect(() => history.check()).not.toThrow();
  });

  test.each<readonly [string, (decisions: ShadowDecision[]) => void]>([
    [
      'one by one',
      ([first]) => Object.assign(first ?? {}, { refusedBecause: '', availableAfter: 10n }),
    ],
    ['without its last part', (decisions) => decisions.pop()],
    [
      'with another between',
      (decisions) => decisions.splice(1, 0, decisions.pop() as ShadowDecision),
    ],
  ])('must not be decided %s', (_, change) => {
    const history = batch(charge(30), charge(11)).request(3, charge(1));
    change(history.decisions);
    expect(() => history.check()).toThrow(/is right at no seq|an answer without an entry/);
  });
});

describe('the checker refuses a decision', () => {
  const changed = (change: Partial<ShadowDecision>) => {
    const history = shadowed(charge(15), charge(30));
    const [first] = history.decisions;
    if (first) history.decisions[0] = { ...first, ...change };
    return history;
  };

  test.each<Partial<ShadowDecision>>([
    { credits: 14n },
    { availableAfter: 24n },
    { refusedBecause: 'INSUFFICIENT_CREDITS' },
    { at: new Date(OPENED_AT + 1) },
    { planId: 'weekly' },
    { caller: 'another' },
  ])('with %o', (change) => {
    expect(() => changed(change).check()).toThrow('is right at no seq');
  });

  test('that nobody asked for', () => {
    const history = shadowed(charge(15));
    history.attempts.pop();
    expect(() => history.check()).toThrow('nobody asked for it');
  });

  test('of work that would be refused, and is not said to be', () => {
    const history = shadowed(charge(15), charge(30));
    const [, second] = history.decisions;
    if (second)
      history.decisions[1] = { ...second, refusedBecause: '', refusalMetadata: new Map() };
    expect(() => history.check()).toThrow('is right at no seq');
  });

  test('that was answered and is not there', () => {
    const history = shadowed(charge(15));
    history.decisions.pop();
    expect(() => history.check()).toThrow('an answer without an entry');
  });
});
