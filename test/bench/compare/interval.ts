/** The ratio of two measurements that were taken in pairs, with its confidence interval. */

export type Ratio = {
  /** Geometric mean of the pairs' ratios. */
  readonly ratio: number;
  /** Bounds of the 95 % confidence interval. */
  readonly low: number;
  readonly high: number;
};

/**
 * B / A, from pairs of windows in blocks: a t interval of the mean of the blocks' mean log ratios. The
 * windows of a block have the same two processes, and two processes of one version differ by some
 * percent; so the spread that counts is the one between blocks.
 */
export function ratioOfPairs(
  blocks: readonly (readonly (readonly [a: number, b: number])[])[],
): Ratio {
  const logs = blocks.map((pairs) => mean(pairs.map(([a, b]) => Math.log(b / a))));
  const middle = mean(logs);
  const variance = logs.reduce((sum, log) => sum + (log - middle) ** 2, 0) / (logs.length - 1);
  const margin = tQuantile(logs.length - 1) * Math.sqrt(variance / logs.length);
  return {
    ratio: Math.exp(middle),
    low: Math.exp(middle - margin),
    high: Math.exp(middle + margin),
  };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * The 97.5 % quantile of Student's t distribution, by the Cornish-Fisher expansion around the normal
 * quantile: right to 0.01 from five degrees of freedom on.
 */
export function tQuantile(degreesOfFreedom: number): number {
  const z = 1.959964;
  const first = (z ** 3 + z) / 4;
  const second = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  const third = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
  const v = degreesOfFreedom;
  return z + first / v + second / v ** 2 + third / v ** 3;
}
