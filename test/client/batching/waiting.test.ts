/** What is sent together: the first mutations that fit in one Batch, in their order. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Waiting } from '../../../clients/typescript/src/batching/waiting.ts';
import {
  add,
  BATCH_MAX,
  fits,
  MUTATIONS_MAX,
  NOTHING,
  SHARED_MAX,
  weigh,
} from '../../../clients/typescript/src/batching/weight.ts';
import { ReserveRequest } from '../../../clients/typescript/src/index.ts';

const weight = fc.record({
  bytes: fc.integer({ min: 10, max: SHARED_MAX.bytes }),
  usages: fc.nat({ max: SHARED_MAX.usages }),
  values: fc.nat({ max: SHARED_MAX.values }),
});
const items = fc.array(fc.record({ weight, leaves: fc.boolean() }), { maxLength: 300 });

test('every Batch is within the limits, and nothing is lost, doubled or overtaken', () => {
  fc.assert(
    fc.property(items, (all) => {
      const waiting = new Waiting<(typeof all)[number]>();
      for (const item of all) waiting.add(item);
      for (const item of all) if (item.leaves) waiting.remove(item);
      const taken: (typeof all)[number][] = [];
      while (waiting.size > 0) {
        const together = waiting.take();
        expect(together.length).toBeGreaterThan(0);
        expect(fits(together.map((item) => item.weight).reduce(add, NOTHING), BATCH_MAX)).toBe(
          true,
        );
        taken.push(...together);
      }
      expect(taken).toEqual(all.filter(({ leaves }) => !leaves));
    }),
  );
});

test('a Batch takes as many as it can', () => {
  const waiting = new Waiting<{ weight: typeof NOTHING }>();
  const light = { bytes: 100, usages: 1, values: 3 };
  for (let index = 0; index < MUTATIONS_MAX + 1; index++) waiting.add({ weight: light });
  expect(waiting.take()).toHaveLength(MUTATIONS_MAX);
  expect(waiting.take()).toHaveLength(1);
  expect(waiting.take()).toEqual([]);
});

test('usages, and all values of lists and maps, are counted', () => {
  const request = ReserveRequest.fromPartial({
    accountId: 'acme',
    usages: {
      items: [
        { operation: 'a', quantities: { pages: 1, copies: 2 }, attributes: { format: 'pdf' } },
        { operation: 'b' },
      ],
    },
    labels: { team: 'red' },
    notAfter: new Date(),
  });
  expect(weigh(request, 99)).toEqual({ bytes: 99, usages: 2, values: 6 });
});
