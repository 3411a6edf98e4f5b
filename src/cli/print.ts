/** How commands write instants, credits and amounts. */

import type { Duration } from '../gen/google/protobuf/duration.ts';
import { visible } from '../visible-text.ts';

export const instant = (at: Date | undefined): string => at?.toISOString() ?? '';

/** 0 is left out: a column of zeros says nothing. */
export const nonZero = (credits: bigint): string => (credits === 0n ? '' : credits.toString());

/** Such as "3d 4h", "12m 5s": two units suffice. */
export function length({ seconds }: Duration): string {
  const units = [
    ['d', 86_400n],
    ['h', 3_600n],
    ['m', 60n],
    ['s', 1n],
  ] as const;
  let rest = seconds;
  const parts = units.map(([unit, size]) => {
    const count = rest / size;
    rest %= size;
    return { unit, count };
  });
  const first = parts.findIndex(({ count }) => count > 0n);
  if (first < 0) return '0s';
  const shown = parts.slice(first, first + 2).filter(({ count }) => count > 0n);
  return shown.map(({ unit, count }) => `${count}${unit}`).join(' ');
}

/** Who did something: the caller, on whose behalf, and by which certificate. */
export const who = ({
  caller,
  onBehalfOf,
  certificate = '',
}: {
  readonly caller: string;
  readonly onBehalfOf: string;
  readonly certificate?: string;
}): string =>
  [caller, onBehalfOf && `for ${onBehalfOf}`, certificate && `by ${certificate}`]
    .filter(Boolean)
    .join(' ');

export type Fact = readonly [name: string, value: string];

/** A line for each fact, with the values below one another. Those without a value are left out. */
export function facts(all: readonly Fact[]): readonly string[] {
  const shown = all.filter(([, value]) => value !== '');
  const width = shown.reduce((most, [name]) => Math.max(most, name.length), 0);
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${visible(value)}`);
}

/** Such as "job=17, team=media". */
export const labelsText = (labels: ReadonlyMap<string, string | bigint>): string =>
  [...labels].map(([name, value]) => `${name}=${value}`).join(', ');

export const count = (many: number, one: string, several = `${one}s`): string =>
  `${many.toLocaleString('en')} ${many === 1 ? one : several}`;

export const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

export const printLines = (lines: readonly string[]) => {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
};
