/**
 * The seeds of the fuzz tests, so that every run tries the same inputs. A seed that has found a fault
 * stays here. `FUZZ_SEEDS=1,2,3` tries others.
 */
export const SEEDS: readonly number[] = process.env['FUZZ_SEEDS']?.split(',').map(Number) ?? [
  1, 20_261_128,
];
