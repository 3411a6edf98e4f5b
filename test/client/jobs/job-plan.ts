/** What job number n does: told by its number alone, so that whoever checks it needs no record of it. */

export type JobPlan = {
  readonly reserves: { readonly credits: bigint } | { readonly inspections: bigint };
  /** Credits that it charges in parts, in this order. */
  readonly parts: readonly bigint[];
  /** Credits left to the end; null: nothing is said. */
  readonly atEnd: bigint | null;
  readonly fails: boolean;
  /** Reserve is refused: the account cannot pay it. */
  readonly isTooLarge: boolean;
  readonly ttlMs: number;
  readonly workMs: number;
  /** Credits that it is charged once it is done. */
  readonly charge: bigint;
};

export const ACCOUNTS = 40;
/** More than all jobs of a run together. */
export const CREDITS_PER_ACCOUNT = 1_000_000n;
export const LONGEST_TTL_MS = 30_000;
/** Of a job whose reservation is extended while it works. */
const SHORT_TTL_MS = 6_000;
const LONG_WORK_MS = 5_000;
/** Every so many jobs one is long. */
const LONG_EVERY = 50;

export const accountOf = (number: number): string => `jobs-${number % ACCOUNTS}`;
export const referenceOf = (number: number): string => `job ${number}`;
export const numberOf = (reference: string): number => Number(reference.slice('job '.length));

export function planOf(number: number): JobPlan {
  const isLong = number % LONG_EVERY === LONG_EVERY - 1;
  const shape = shapeOf(number);
  const parts = shape.parts ?? [];
  const total = parts.reduce((sum, part) => sum + part, 0n);
  const whole = 'credits' in shape.reserves ? shape.reserves.credits : shape.reserves.inspections;
  const saysNothing = parts.length === 0 && shape.atEnd === undefined;
  const charge = saysNothing ? whole : total + (shape.atEnd ?? 0n);
  return {
    reserves: shape.reserves,
    parts,
    atEnd: shape.atEnd ?? null,
    fails: shape.fails ?? false,
    isTooLarge: shape.isTooLarge ?? false,
    ttlMs: isLong ? SHORT_TTL_MS : LONGEST_TTL_MS,
    // Some jobs are short, some outlast a replica.
    workMs: isLong ? LONG_WORK_MS : (number * 7_919) % 400,
    charge: shape.fails ? total : shape.isTooLarge ? 0n : charge,
  };
}

type Shape = Pick<JobPlan, 'reserves'> &
  Partial<Pick<JobPlan, 'parts' | 'fails' | 'isTooLarge'>> & { readonly atEnd?: bigint };

function shapeOf(number: number): Shape {
  const few = BigInt(1 + (number % 5));
  switch (number % 8) {
    case 0:
      return { reserves: { inspections: few } };
    case 1:
      return { reserves: { credits: 20n }, parts: [few, 2n], atEnd: 3n };
    case 2:
      return { reserves: { credits: 20n }, parts: [few, few, few] };
    case 3:
      return { reserves: { credits: 20n }, atEnd: few };
    case 4:
      return { reserves: { credits: 20n }, parts: [few], fails: true };
    case 5:
      return { reserves: { inspections: few }, fails: true };
    case 6:
      return { reserves: { credits: 2n * CREDITS_PER_ACCOUNT }, isTooLarge: true };
    default:
      return { reserves: { credits: few } };
  }
}
