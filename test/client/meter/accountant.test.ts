/** What a meter allows, reports and reserves: the rules, on a made-up service and a made-up clock. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Accountant, type Command } from '../../../clients/typescript/src/meter/accountant.ts';
import type { MeteredUsage } from '../../../clients/typescript/src/meter/metered-usage.ts';

const UNITS = 100;
const INTERVAL = 10;
const TTL = 200;

const usage: MeteredUsage = {
  unitCredits: 1n,
  unitsMax: UNITS,
  amountOf: (units) => ({ credits: BigInt(units) }),
  ratedBy: null,
};

/** A service that has so many units, and keeps what it decided. */
class Service {
  readonly held = new Map<string, number>();
  readonly committed = new Map<string, number>();
  charged = 0;
  units: number;

  constructor(units: number) {
    this.units = units;
  }

  get total(): number {
    return [...this.committed.values()].reduce((sum, units) => sum + units, this.charged);
  }

  reserve(units: number): string | null {
    if (units > this.units) return null;
    const id = `reservation-${this.held.size}`;
    this.units -= units;
    this.held.set(id, units);
    this.committed.set(id, 0);
    return id;
  }

  /** False: the reservation has ended. */
  commit(id: string, units: number, final: boolean): boolean {
    const held = this.held.get(id) ?? 0;
    if (held < 0) return false;
    if (units > held) throw new Error(`${units} of ${held} units were committed`);
    this.committed.set(id, (this.committed.get(id) ?? 0) + units);
    this.held.set(id, held - units);
    if (final) this.end(id);
    return true;
  }

  end(id: string) {
    if (!this.held.has(id)) return;
    this.units += Math.max(this.held.get(id) ?? 0, 0);
    this.held.set(id, -1);
  }
}

/** A meter's accountant with its service. Commands wait to be answered. */
class World {
  readonly accountant = new Accountant(UNITS, INTERVAL);
  readonly service: Service;
  readonly waiting: { command: Command; sentAt: number }[] = [];
  now = 0;
  used = 0;
  /** When which units were used. */
  readonly uses: { at: number; units: number }[] = [];

  constructor(units: number) {
    this.service = new Service(units);
    this.work();
  }

  work() {
    for (const command of this.accountant.due(this.now))
      this.waiting.push({ command, sentAt: this.now });
  }

  use(units: number): boolean {
    const before = this.accountant.available(this.now);
    const isAllowed = this.accountant.tryUse(units, this.now);
    expect(isAllowed).toBe(units <= before);
    if (isAllowed) {
      this.used += units;
      this.uses.push({ at: this.now, units });
    }
    return isAllowed;
  }

  /** Lets time pass, and works whenever the accountant wants to. */
  pass(ms: number, answers: boolean) {
    const end = this.now + ms;
    for (let at = this.accountant.nextAt(); at <= end; at = this.accountant.nextAt()) {
      this.now = Math.max(this.now, at);
      this.work();
      if (answers) this.answerAll();
      if (this.accountant.nextAt() <= this.now)
        throw new Error('it has something to do all the time');
    }
    this.now = end;
  }

  answerAll() {
    while (this.waiting.length > 0) this.answer(0);
  }

  answer(index: number) {
    const [waiting] = this.waiting.splice(index, 1);
    if (!waiting) return;
    const { command, sentAt } = waiting;
    const { accountant, service, now } = this;
    switch (command.kind) {
      case 'reserve': {
        const id = service.reserve(command.units);
        if (id === null) accountant.refused(command, now, service.units);
        else accountant.reserved(this.terms(id, command.units, sentAt), now);
        break;
      }
      case 'extend':
        accountant.extended(command, sentAt + TTL);
        break;
      case 'report':
        if (service.commit(command.reservation.reservationId, command.units, command.final))
          accountant.reportedAs(command);
        else
          for (const charge of accountant.reportRefused(command))
            this.waiting.push({ command: charge, sentAt: now });
        break;
      case 'charge':
        service.charged += command.units;
        accountant.chargedAs(command, true);
    }
    this.work();
  }

  terms(reservationId: string, units: number, sentAt: number) {
    return { reservationId, units, expiresAt: sentAt + TTL, ttlMs: TTL, usage };
  }

  /** Closes the meter, and lets the service answer everything. */
  settle() {
    this.accountant.close();
    this.work();
    this.answerAll();
  }
}

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('use'), units: fc.integer({ min: 1, max: 60 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('pass'),
      ms: fc.integer({ min: 1, max: 3 * INTERVAL }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('answer'), index: fc.nat({ max: 3 }) }) },
  // An operator releases a reservation, or the machine slept until it had expired.
  { weight: 1, arbitrary: fc.record({ do: fc.constant('end'), index: fc.nat({ max: 10 }) }) },
);
type Step = { do: string; units?: number; ms?: number; index?: number };

function take(world: World, one: Step) {
  if (one.do === 'use') {
    world.use(one.units ?? 1);
    world.work();
  } else if (one.do === 'pass') world.pass(one.ms ?? 0, false);
  else if (one.do === 'answer') world.answer(Math.min(one.index ?? 0, world.waiting.length - 1));
  else world.service.end(`reservation-${one.index}`);
}

describe('whatever happens, in whatever order', () => {
  test('what is charged at the end is what was allowed, and everything is returned', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 200 }),
        fc.integer({ min: 50, max: 2_000 }),
        (steps, units) => {
          const world = new World(units);
          for (const one of steps) take(world, one);
          world.settle();
          expect(world.accountant.isSettled).toBe(true);
          expect(world.accountant.allowed).toBe(world.used);
          expect(world.accountant.charged).toBe(world.used);
          expect(world.service.total).toBe(world.used);
          expect([...world.service.held.values()].every((held) => held < 0)).toBe(true);
        },
      ),
    );
  });

  test('no more is allowed than was reserved, and nothing of what has expired', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const world = new World(1_000);
        for (const one of steps) {
          take(world, one);
          const reserved = [...world.service.committed.keys()].length * UNITS;
          expect(world.used).toBeLessThanOrEqual(Math.min(reserved, 1_000));
        }
        // The service answers no more.
        world.pass(TTL, false);
        expect(world.use(1)).toBe(false);
      }),
    );
  });

  test('a process that dies loses what was used in one interval, if the service answers', () => {
    const uses = fc.array(
      fc.record({ units: fc.integer({ min: 1, max: 30 }), ms: fc.integer({ min: 0, max: 8 }) }),
    );
    fc.assert(
      fc.property(uses, (all) => {
        const world = new World(1_000_000);
        world.answerAll();
        for (const { units, ms } of all) {
          world.pass(ms, true);
          world.use(units);
          world.work();
          world.answerAll();
          const recent = world.uses.filter(({ at }) => at > world.now - INTERVAL);
          const lost = world.used - world.service.total;
          expect(lost).toBeLessThanOrEqual(recent.reduce((sum, use) => sum + use.units, 0));
        }
      }),
    );
  });
});

test('more is reserved before what there is has been used up, once', () => {
  const world = new World(1_000);
  world.answerAll();
  expect(world.accountant.available(0)).toBe(UNITS);
  world.use(50);
  world.work();
  expect(world.waiting).toEqual([]);
  world.use(1);
  world.work();
  world.use(10);
  world.work();
  expect(world.waiting.map(({ command }) => command)).toEqual([{ kind: 'reserve', units: UNITS }]);
  world.answerAll();
  expect(world.accountant.available(0)).toBe(39 + UNITS);
  expect(world.use(120)).toBe(true);
});

test('what is left of an account is reserved, and then it asks again later and later', () => {
  const world = new World(30);
  world.answerAll();
  expect(world.accountant.available(0)).toBe(30);
  expect(world.service.units).toBe(0);
  const asked: number[] = [];
  while (world.now < 70) {
    world.pass(world.accountant.nextAt() - world.now, false);
    if (world.waiting.some(({ command }) => command.kind === 'reserve')) asked.push(world.now);
    world.answerAll();
  }
  expect(asked).toEqual([10, 30, 70]);
  world.service.units = 500;
  world.pass(10_000, true);
  expect(world.accountant.available(world.now)).toBeGreaterThanOrEqual(UNITS);
});

test('a reservation is extended for as long as the meter is open', () => {
  const world = new World(100);
  world.answerAll();
  world.pass(10 * TTL, true);
  expect([...world.service.held]).toEqual([['reservation-0', UNITS]]);
  expect(world.use(UNITS)).toBe(true);
});

test('a report is not repeated while it is in flight, and has only what is new when it is answered', () => {
  const world = new World(1_000);
  world.answerAll();
  world.use(5);
  world.pass(INTERVAL, false);
  world.use(7);
  world.pass(3 * INTERVAL, false);
  const reports = () =>
    world.waiting.map(({ command }) => ('units' in command ? command.units : null));
  expect(reports()).toEqual([5]);
  world.answer(0);
  expect(reports()).toEqual([7]);
});

test('what the service refuses to charge is lost, and counted', () => {
  const world = new World(1_000);
  world.answerAll();
  world.use(5);
  world.service.end('reservation-0');
  world.accountant.close();
  world.work();
  world.answer(0);
  const [charge] = world.waiting.splice(0);
  expect(charge?.command).toMatchObject({ kind: 'charge', units: 5 });
  if (charge?.command.kind === 'charge') world.accountant.chargedAs(charge.command, false);
  const { allowed, charged, lost, isSettled } = world.accountant;
  expect({ allowed, charged, lost, isSettled }).toEqual({
    allowed: 5,
    charged: 0,
    lost: 5,
    isSettled: true,
  });
});

describe('a process that stood still', () => {
  test('allows nothing of what has expired meanwhile', () => {
    const world = new World(1_000);
    world.answerAll();
    world.now += TTL;
    expect(world.accountant.tryUse(1, world.now)).toBe(false);
  });

  test('allows what was reserved later', () => {
    const world = new World(1_000);
    world.answerAll();
    world.use(60);
    world.now += TTL - INTERVAL;
    world.accountant.reserved(world.terms('later', UNITS, world.now), world.now);
    world.now += INTERVAL;
    expect(world.accountant.tryUse(UNITS + 1, world.now)).toBe(false);
    expect(world.accountant.tryUse(UNITS, world.now)).toBe(true);
    expect(world.accountant.available(world.now)).toBe(0);
  });
});

test('a reservation that is used up is ended at once, with its last report', () => {
  const world = new World(1_000);
  world.answerAll();
  world.use(UNITS);
  world.work();
  const reports = world.waiting.filter(({ command }) => command.kind === 'report');
  expect(reports).toMatchObject([{ command: { units: UNITS, final: true } }]);
});
