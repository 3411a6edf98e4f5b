/** What a mutation counts towards the limits of a Batch, and those limits. */

export type Weight = {
  /** Bytes of the mutation in a BatchRequest. */
  readonly bytes: number;
  readonly usages: number;
  /** Values of all its lists and maps. */
  readonly values: number;
};

/** Mutations of one Batch. */
export const MUTATIONS_MAX = 1_000;

/** The service's limits of a whole request. */
export const BATCH_MAX: Weight = {
  // 3 MiB.
  bytes: 3_145_728,
  usages: 10_000,
  // Each mutation counts as a value, too.
  values: 50_000 - MUTATIONS_MAX,
};

/**
 * A mutation beyond one of these goes alone: it is refused with the error of a call of its own, or is so
 * large that others would wait for it.
 */
export const SHARED_MAX: Weight = { bytes: 262_144, usages: 1_000, values: 10_000 };

export const fits = (weight: Weight, max: Weight): boolean =>
  weight.bytes <= max.bytes && weight.usages <= max.usages && weight.values <= max.values;

export const add = (one: Weight, other: Weight): Weight => ({
  bytes: one.bytes + other.bytes,
  usages: one.usages + other.usages,
  values: one.values + other.values,
});

export const NOTHING: Weight = { bytes: 0, usages: 0, values: 0 };

type WithUsages = { readonly usages?: { readonly items: readonly unknown[] } | undefined };

/** Weighs a request that has so many bytes once it is encoded. */
export const weigh = (request: object, bytes: number): Weight => ({
  bytes,
  usages: (request as WithUsages).usages?.items.length ?? 0,
  values: countValues(request),
});

/** At least as many as the service counts. */
function countValues(value: object): number {
  if (value instanceof Uint8Array || value instanceof Date) return 0;
  if (Array.isArray(value)) return value.length + value.reduce(addValues, 0);
  const all = Object.values(value);
  // A map is an object without a prototype of its own.
  const isMap = Object.getPrototypeOf(value) === Object.prototype;
  return (isMap ? all.length : 0) + all.reduce<number>(addValues, 0);
}

const addValues = (sum: number, value: unknown): number =>
  typeof value === 'object' && value !== null ? sum + countValues(value) : sum;
