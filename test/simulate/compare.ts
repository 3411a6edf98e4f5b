/** Compares messages: as texts in which equal messages are equal, and by the fields in which they differ. */

/** Plain data in one form: keys in order, fields that are not set left out. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}`;
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Map) return plain(Object.fromEntries(value));
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(fields.map(([name, field]) => [name, plain(field)]));
}

export const textOf = (value: unknown): string => JSON.stringify(plain(value));

/** In which fields `actual` differs from what is expected, as words; empty if in none. */
export function differences(actual: object, expected: object): string {
  if (textOf(actual) === textOf(expected)) return '';
  const found: string[] = [];
  compare('', plain(actual), plain(expected), found);
  return found.slice(0, 6).join('; ');
}

function compare(path: string, actual: unknown, expected: unknown, found: string[]) {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a === b) return;
  if (!isObject(actual) || !isObject(expected)) {
    found.push(`${path} is ${a}, must be ${b}`);
    return;
  }
  for (const name of new Set([...Object.keys(actual), ...Object.keys(expected)]))
    compare(path ? `${path}.${name}` : name, actual[name], expected[name], found);
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;
