/** Where the clock of a sandbox is to be moved, as a person writes it: "40d", "2027-01-01", "month end". */
import { monthStart } from '../ledger/month.ts';
import { suggestion } from '../nearest-name.ts';
import { instant } from '../pricing/plan-file/scalar-schemas.ts';
import { argumentError } from './command.ts';

const UNITS_MS = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** The month and the year of the sandbox's time end when the next begins. */
const ENDS: Readonly<Record<string, (now: number) => number>> = {
  'day end': (now) => Math.floor(now / UNITS_MS.d + 1) * UNITS_MS.d,
  'month end': (now) => monthStart(now, 1),
  'year end': (now) => Date.UTC(new Date(now).getUTCFullYear() + 1, 0, 1),
};

/** Epoch milliseconds. `now`: the sandbox's time. Throws an error of an argument where it says no later instant. */
export function targetOf(words: readonly string[], now: number): number {
  const text = words.join(' ').trim().toLowerCase();
  const [, count, unit] = /^(\d{1,5}) ?([mhdw])$/.exec(text) ?? [];
  if (count && unit)
    return later(now + Number(count) * UNITS_MS[unit as keyof typeof UNITS_MS], now);
  const end = ENDS[text];
  if (end) return end(now);
  // The seconds may be left out.
  const written = words
    .join(' ')
    .trim()
    .replace(/(T\d\d:\d\d)(?=Z|[+-]\d)/, '$1:00');
  const read = instant.safeParse(written);
  if (read.success) return later(read.data, now);
  const near = suggestion(text, Object.keys(ENDS)).text;
  throw argumentError(
    `"${words.join(' ')}" is no length of time such as 40d or 12h, no date such as 2027-01-01 and not month end${near}`,
  );
}

function later(target: number, now: number): number {
  if (target > now) return target;
  throw argumentError(
    `it is ${new Date(now).toISOString()} there, and the clock of a sandbox only moves forwards`,
  );
}
