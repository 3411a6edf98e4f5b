/**
 * Canonical JSON: equal values have equal texts, whatever the order of their keys. The ledger stores
 * it, and the hash chain is computed over it.
 */

/**
 * JSON with sorted keys and without white space. A map is an object. Integers up to 2^53 − 1 are JSON numbers, larger ones
 * are strings, so that JSON.parse loses no digits. Members that are undefined are left out.
 */
export function canonicalJson(value: unknown): string {
  if (typeof value === 'bigint') return integerJson(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value instanceof Map) return mapJson(value);
  const keys = Object.keys(value);
  if (keys.length > 1) keys.sort();
  let text = '';
  for (const key of keys) {
    const member = (value as Record<string, unknown>)[key];
    if (member !== undefined)
      text += `${text && ','}${JSON.stringify(key)}:${canonicalJson(member)}`;
  }
  return `{${text}}`;
}

function mapJson(map: ReadonlyMap<string, unknown>): string {
  const keys = [...map.keys()];
  if (keys.length > 1) keys.sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonicalJson(map.get(key))}`).join(',')}}`;
}

/** An integer as `canonicalJson` writes it. */
export function integerJson(value: bigint): string {
  const exact = value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER;
  return exact ? value.toString() : `"${value}"`;
}

/** An integer in JSON, as the database has it and as a write gives it. */
export type JsonInteger = number | string | bigint;
