/** Sums as int64: the largest also stands for more, and the smallest for less. */
import { MAX_CREDITS } from '../../pricing/plan.ts';

export function sumMessage(sum: bigint): bigint {
  if (sum > MAX_CREDITS) return MAX_CREDITS;
  return sum < -MAX_CREDITS ? -MAX_CREDITS : sum;
}
