/** Admission control in simulated time. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Arrivals, type Served, SimulatedService } from './simulated-service.ts';

const WAIT_MAX_MS = 500;
const options = { waitMaxMs: WAIT_MAX_MS, inFlightMax: 10_000 };

const load = (changes: Partial<Arrivals> = {}): Arrivals => ({
  caller: 'load',
  accountId: 'hot',
  perSecond: 5_000,
  timeoutMs: 60_000,
  ...changes,
});
const neighbour = load({ caller: 'neighbour', accountId: 'cold', perSecond: 20 });

const first = ([served]: readonly Served[]): Served => served as Served;

describe('A load that can be served', () => {
  test('is admitted as a whole', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 10, max: 20_000 }),
        fc.double({ min: 0.1, max: 0.95 }),
        (perSecond, part) => {
          const service = new SimulatedService(perSecond, options);
          const { sent, answered } = first(
            service.run(5_000, [load({ perSecond: perSecond * part })]),
          );
          expect(answered + service.inFlight).toBe(sent);
          expect(service.congestions).toBe(0);
        },
      ),
    );
  });

  test('may come in bursts that are served within the longest wait', () => {
    const service = new SimulatedService(5_000, options);
    for (let second = 0; second < 10; second++) {
      const burst = first(service.run(1, [load({ perSecond: 2_000_000 })]));
      service.run(999, []);
      expect(burst.sent).toBe(2_000);
      expect(service.inFlight).toBe(0);
    }
    expect(service.congestions).toBe(0);
  });
});

describe('A load beyond capacity', () => {
  const overloads = fc.record({
    perSecond: fc.integer({ min: 200, max: 5_000 }),
    times: fc.double({ min: 1.5, max: 20, noNaN: true }),
    accounts: fc.integer({ min: 1, max: 20 }),
  });
  const loadsOf = ({
    perSecond,
    times,
    accounts,
  }: {
    perSecond: number;
    times: number;
    accounts: number;
  }) =>
    Array.from({ length: accounts }, (_, index) =>
      load({ accountId: `hot-${index}`, perSecond: (perSecond * times) / accounts }),
    );

  test('is served at capacity, and nothing waits much longer than the longest wait', () => {
    fc.assert(
      fc.property(overloads, (overload) => {
        const service = new SimulatedService(overload.perSecond, options);
        const loads = loadsOf(overload);
        service.run(5_000, loads);
        const served = service.run(10_000, loads);
        const answered = served.reduce((sum, one) => sum + one.answered, 0);
        expect(answered).toBeGreaterThan(0.95 * 10 * overload.perSecond);
        expect(Math.max(...served.map(({ longestMs }) => longestMs))).toBeLessThan(
          1.3 * WAIT_MAX_MS,
        );
      }),
    );
  });

  test('refuses no call of a caller and account with few calls', () => {
    fc.assert(
      fc.property(overloads, (overload) => {
        const service = new SimulatedService(overload.perSecond, options);
        const loads = loadsOf(overload);
        service.run(3_000, loads);
        const { sent, answered } = service.run(10_000, [neighbour, ...loads])[0] as Served;
        expect(sent - answered).toBeLessThanOrEqual(neighbour.perSecond);
      }),
    );
  });

  test('is limited although every call has another name', () => {
    let name = 0;
    const nameless = {
      ...load(),
      get caller() {
        name += 1;
        return `caller-${name}`;
      },
      get accountId() {
        return `account-${name}`;
      },
    };
    const service = new SimulatedService(500, options);
    service.run(5_000, [nameless]);
    const { answered, longestMs } = first(service.run(10_000, [nameless]));
    expect(answered).toBeGreaterThan(0.95 * 10 * 500);
    expect(longestMs).toBeLessThan(2.6 * WAIT_MAX_MS);
  });

  test('shares what there is equally between callers that ask for more', () => {
    const service = new SimulatedService(500, options);
    const loads = ['a', 'b', 'c'].map((caller, index) =>
      load({ caller, accountId: caller, perSecond: 1_000 * (index + 1) }),
    );
    service.run(3_000, loads);
    for (const { answered } of service.run(20_000, loads))
      expect(answered / (20 * 500)).toBeCloseTo(1 / 3, 1);
  });

  test('is served within its deadlines, although these are shorter than the longest wait', () => {
    const service = new SimulatedService(500, options);
    const short = load({ timeoutMs: 100 });
    service.run(2_000, [short]);
    const { answered, late } = first(service.run(10_000, [short]));
    expect(answered).toBeGreaterThan(0.95 * 10 * 500);
    expect(late).toBeLessThan(0.05 * answered);
  });

  test('leaves nothing behind: a second later everything is admitted', () => {
    const service = new SimulatedService(500, options);
    service.run(5_000, [load()]);
    service.run(1_000, []);
    expect(service.inFlight).toBe(0);
    const { sent, answered, longestMs } = first(service.run(5_000, [load({ perSecond: 400 })]));
    expect(sent - answered).toBeLessThanOrEqual(1);
    expect(longestMs).toBeLessThan(10);
  });

  test('is noticed once, and once again after it was over', () => {
    const service = new SimulatedService(500, options);
    service.run(5_000, [load()]);
    expect(service.congestions).toBe(1);
    service.run(5_000, []);
    service.run(5_000, [load()]);
    expect(service.congestions).toBe(2);
  });
});

test('More calls than the limit are refused, however long they wait', () => {
  const service = new SimulatedService(1, { waitMaxMs: 3_600_000, inFlightMax: 5 });
  service.run(100, [load()]);
  expect(service.inFlight).toBe(5);
  expect(service.admission.limit).toBe(5);
});
