/**
 * The currencies: the codes of ISO 4217 that are in use, with their decimals, and what the payment
 * provider takes of each. Funds, metals and test codes are left out: nobody pays in them.
 *
 * Sources: ISO 4217, list one, https://www.six-group.com/en/products-services/financial-information/data-standards.html
 * and https://docs.stripe.com/currencies: presentment currencies, zero-decimal and three-decimal
 * currencies, special cases, minimum and maximum charge amounts.
 */

export type Currency = {
  readonly code: string;
  /** Digits after the point, by ISO 4217. */
  readonly decimals: number;
  /** Null: the payment provider does not take it. */
  readonly provider: ProviderTerms | null;
};

/** What the payment provider takes. Amounts are whole numbers of its smallest unit. */
export type ProviderTerms = {
  /** Digits after the point of its smallest unit. They differ from `decimals` for some currencies. */
  readonly decimals: number;
  /** Amounts are multiples of this. */
  readonly step: bigint;
  /**
   * The least amount. Where Stripe publishes none for a currency, the minimum of the settlement currency
   * applies after conversion, which only Stripe can compute: then this is one step.
   */
  readonly minimum: bigint;
  readonly maximum: bigint;
};

/** Null if ISO 4217 has no such currency in use. */
export const findCurrency = (code: string): Currency | null => CURRENCIES.get(code) ?? null;

export const allCurrencies = (): readonly Currency[] => [...CURRENCIES.values()];

const words = (text: string): readonly string[] => text.split(' ');

const CODES_BY_DECIMALS: readonly (readonly [decimals: number, codes: readonly string[]])[] = [
  [0, words('BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF')],
  [
    2,
    [
      ...words('AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN'),
      ...words('BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP'),
      ...words('GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD'),
      ...words('KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN'),
      ...words('NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG'),
      ...words('SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH'),
      ...words('USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG'),
    ],
  ],
  [3, words('BHD IQD JOD KWD LYD OMR TND')],
];

/** Not among Stripe's presentment currencies. */
const NOT_TAKEN = words('BTN CUP ERN IQD IRR KPW LYD MRU SDG SSP STN SVC SYP VED VES ZWG');

/** Special cases: sent with two decimals, which must be zero; and sent without the decimals of ISO 4217. */
const SENT_IN_HUNDREDTHS = ['ISK', 'UGX'];
const SENT_WHOLE = ['MGA'];

/** In the smallest unit. */
const MINIMUMS: Readonly<Record<string, bigint>> = {
  AED: 200n,
  ARS: 50n,
  AUD: 50n,
  BRL: 50n,
  CAD: 50n,
  CHF: 50n,
  COP: 50n,
  CZK: 1_500n,
  DKK: 250n,
  EUR: 50n,
  GBP: 30n,
  HKD: 400n,
  HUF: 17_500n,
  IDR: 50n,
  ILS: 50n,
  INR: 50n,
  JPY: 50n,
  KRW: 50n,
  MXN: 1_000n,
  MYR: 200n,
  NOK: 300n,
  NZD: 50n,
  PHP: 50n,
  PLN: 200n,
  RON: 200n,
  RUB: 50n,
  SEK: 300n,
  SGD: 50n,
  THB: 1_000n,
  USD: 50n,
  ZAR: 50n,
};

/** In the smallest unit: twelve digits of IDR, ten of COP, nine of INR, eight of all others. */
const MAXIMUMS: Readonly<Record<string, bigint>> = {
  COP: 9_999_999_999n,
  IDR: 999_999_999_999n,
  INR: 999_999_999n,
};
const MAXIMUM = 99_999_999n;

const CURRENCIES: ReadonlyMap<string, Currency> = new Map(
  CODES_BY_DECIMALS.flatMap(([decimals, codes]) =>
    codes.map((code) => [code, { code, decimals, provider: providerTerms(code, decimals) }]),
  ),
);

function providerTerms(code: string, isoDecimals: number): ProviderTerms | null {
  if (NOT_TAKEN.includes(code)) return null;
  const inHundredths = SENT_IN_HUNDREDTHS.includes(code);
  const decimals = inHundredths ? 2 : SENT_WHOLE.includes(code) ? 0 : isoDecimals;
  // Of three decimals, the last must be zero.
  const step = inHundredths ? 100n : decimals === 3 ? 10n : 1n;
  const minimum = MINIMUMS[code] ?? step;
  const largest = MAXIMUMS[code] ?? MAXIMUM;
  return { decimals, step, minimum, maximum: largest - (largest % step) };
}
