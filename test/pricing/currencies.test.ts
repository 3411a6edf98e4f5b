/** The table of currencies. */
import { expect, test } from 'vitest';
import { findCurrency } from '../../src/pricing/currencies.ts';

const CODES = Array.from({ length: 26 ** 3 }, (_, index) =>
  [index / 676, (index / 26) % 26, index % 26]
    .map((letter) => String.fromCharCode(65 + Math.floor(letter)))
    .join(''),
).filter((code) => findCurrency(code));

test.each([
  ['USD', 2],
  ['EUR', 2],
  ['JPY', 0],
  ['ISK', 0],
  ['UGX', 0],
  ['KWD', 3],
  ['IQD', 3],
  ['HUF', 2],
  ['MGA', 2],
])('%s has %i decimals', (code, decimals) => {
  expect(findCurrency(code)?.decimals).toBe(decimals);
});

test.each(['UDS', 'ZZZ', 'XXX', 'XTS', 'XAU', 'XDR', 'DEM', 'BGN', 'usd', '', '__proto__'])(
  '"%s" is not a currency',
  (code) => {
    expect(findCurrency(code)).toBeNull();
  },
);

test('every currency is one that the runtime knows, or is newer', () => {
  const known = new Set(Intl.supportedValuesOf('currency'));
  const newer = ['SLE', 'XCG', 'ZWG', 'VED'];
  expect(CODES.filter((code) => !known.has(code) && !newer.includes(code))).toEqual([]);
  expect(CODES.length).toBe(155);
});

test('every amount that the provider takes is a whole number of its steps', () => {
  for (const code of CODES) {
    const terms = findCurrency(code)?.provider;
    if (!terms) continue;
    const { step, minimum, maximum } = terms;
    expect([code, minimum % step, maximum % step]).toEqual([code, 0n, 0n]);
    expect([code, minimum >= step && minimum < maximum]).toEqual([code, true]);
  }
});
