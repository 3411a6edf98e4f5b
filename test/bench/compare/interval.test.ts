import { expect, test } from 'vitest';
import { ratioOfPairs, tQuantile } from './interval.ts';

test('the t quantile agrees with the printed tables', () => {
  expect(tQuantile(5)).toBeCloseTo(2.571, 2);
  expect(tQuantile(11)).toBeCloseTo(2.201, 3);
  expect(tQuantile(23)).toBeCloseTo(2.069, 3);
});

test('pairs that drift together have a ratio without spread', () => {
  const { ratio, low, high } = ratioOfPairs([1, 2, 4, 3, 2, 1].map((a) => [[a, 1.1 * a]]));
  expect(ratio).toBeCloseTo(1.1, 10);
  expect(low).toBeCloseTo(1.1, 10);
  expect(high).toBeCloseTo(1.1, 10);
});

test('the interval is that of a t test on the mean log ratios of the blocks', () => {
  // Log ratios 0, 0.1 … 0.5: mean 0.25, standard deviation 0.18708, standard error 0.076376.
  const { ratio, low, high } = ratioOfPairs(
    [0, 1, 2, 3, 4, 5].map((n) => [
      [1, Math.exp(n / 10 - 1)],
      [1, Math.exp(n / 10 + 1)],
    ]),
  );
  expect(Math.log(ratio)).toBeCloseTo(0.25, 10);
  expect(Math.log(low)).toBeCloseTo(0.25 - 2.5706 * 0.076376, 3);
  expect(Math.log(high)).toBeCloseTo(0.25 + 2.5706 * 0.076376, 3);
});
