/** Values of options, as several commands read them. */
import { InvalidArgumentError } from 'commander';
import { suggestion } from '../nearest-name.ts';
import { instant } from '../pricing/plan-file/scalar-schemas.ts';

const UNITS = { s: 1n, m: 60n, h: 3_600n, d: 86_400n } as const;

/** "90s", "15m", "2h" or "3d". */
export function duration(text: string): { readonly seconds: bigint } {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  if (!count || !unit) throw new InvalidArgumentError('It must be such as 90s, 15m, 2h or 3d.');
  return { seconds: BigInt(count) * UNITS[unit as keyof typeof UNITS] };
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

/** A number of credits: up to 18 digits, which a number of JavaScript does not hold. */
export function credits(text: string): bigint {
  if (!/^\d{1,18}$/.test(text))
    throw new InvalidArgumentError(
      'It must be a whole number of credits, at most 999999999999999999.',
    );
  return BigInt(text);
}

const VERSION_MAX = 2_147_483_647n;

/** The version of a rate card. */
export function version(text: string): bigint {
  if (!/^[1-9]\d{0,9}$/.test(text) || BigInt(text) > VERSION_MAX)
    throw new InvalidArgumentError(`It must be a whole number, 1 to ${VERSION_MAX}.`);
  return BigInt(text);
}

/** A seq, or a number of things: 1 or more. */
export function ordinal(text: string): bigint {
  if (!/^[1-9]\d{0,17}$/.test(text))
    throw new InvalidArgumentError('It must be a whole number, 1 or more.');
  return BigInt(text);
}

/** Adds "team=media" to the labels. */
export function label(text: string, before: ReadonlyMap<string, string>): Map<string, string> {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined)
    throw new InvalidArgumentError('It must be such as team=media.');
  return new Map([...before, [name, value]]);
}

/** Labels that a filter asks for: with their values, or by their names alone. */
export type LabelFilter = {
  readonly labels: ReadonlyMap<string, string>;
  readonly labelKeys: readonly string[];
};

const NO_LABELS: LabelFilter = { labels: new Map(), labelKeys: [] };

/** Adds "team=media", or "team" for any value, to the filter. */
export function labelFilter(text: string, before = NO_LABELS): LabelFilter {
  const { labels, labelKeys } = before;
  return text.includes('=')
    ? { labels: label(text, labels), labelKeys }
    : { labels, labelKeys: [...labelKeys, text] };
}

/** A filter as requests have it. */
export const labelFields = ({ labels, labelKeys } = NO_LABELS) => ({
  labels: new Map(labels),
  labelKeys: [...labelKeys],
});

/** A date, or an instant. */
export function instantOption(text: string): Date {
  const read = instant.safeParse(text);
  if (!read.success)
    throw new InvalidArgumentError('It must be a date or instant such as 2027-01-01.');
  return new Date(read.data);
}

/** The value of an enum of the contract, by its name in any case. */
export const oneOf =
  <Value extends number>(members: Readonly<Record<string, Value>>, what: string) =>
  (text: string): Value => {
    const value = members[text.toUpperCase()];
    if (value) return value;
    const names = Object.keys(members).filter((name) => members[name]);
    throw new InvalidArgumentError(
      `There is no ${what} ${text}${suggestion(text, names).text || `: it must be ${names.join(', ')}`}`,
    );
  };

/** How many rows at most. */
export function toLimit(text: string): number {
  const number = wholeNumber(text);
  if (number === 0) throw new InvalidArgumentError('It must be 1 or more.');
  return number;
}

/** The rows of a list, page by page, up to `limit`; and whether there are more. */
export async function firstOf<Row>(
  limit: number,
  readPage: (pageToken: string, pageSize: number) => Promise<readonly [readonly Row[], string]>,
): Promise<{ readonly rows: readonly Row[]; readonly hasMore: boolean }> {
  const rows: Row[] = [];
  let pageToken = '';
  do {
    const [page, next] = await readPage(pageToken, Math.min(limit - rows.length, 1_000));
    rows.push(...page);
    pageToken = next;
  } while (pageToken !== '' && rows.length < limit);
  return { rows, hasMore: pageToken !== '' };
}
