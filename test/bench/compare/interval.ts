/** The ratio of two measurements that were taken in pairs, with its confidence interval. */

export type Ratio = {
  /** Geometric mean of the pairs' ratios. */
  readonly ratio: number;
  /** Bounds of the 95 % confidence interval. */
  readonly low: number;
  readonly high: number;
};

/** B / A, from pairs of windows: a t interval of the mean of the pairs' log ratios. */
export function ratioOfPairs(pairs: readonly (readonly [a: number, b: number])[]): Ratio {
  const logs = pairs.map(([a, b]) => Math.log(b / a));
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
  const squares = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0);
  const standardError = Math.sqrt(squares / (logs.length - 1) / logs.length);
  const margin = tQuantile(logs.length - 1) * standardError;
  return { ratio: Math.exp(mean), low: Math.exp(mean - margin), high: Math.exp(mean + margin) };
}

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
