import { describe, expect, test } from 'vitest';
import { containing, errorsIn, type InvalidPlanRow, withReplaced } from './fixtures.ts';

const op = (name: string) => `operations["job.${name}"]`;
const whole = 'must be a whole number, without a point or an exponent';

describe('a part that is missing, unknown or of the wrong type is an error', () => {
  test.each<InvalidPlanRow>([
    ['an unknown key at the root', 'title: Everything', 'titel: Everything', 'titel: unknown key'],
    ['a missing key at the root', 'plan_id: everything\n', '\n', 'plan_id: missing key'],
    [
      'a nested unknown key',
      'credits: 7 }',
      'credits: 7, note: x }',
      `${op('flat')}.components[0].note: unknown key`,
    ],
    [
      'a nested missing key',
      'label: Base, credits: 7',
      'label: Base',
      `${op('flat')}.components[0].credits: missing key`,
    ],
    [
      'an unknown kind of component',
      'kind: flat',
      'kind: flatt',
      `${op('flat')}.components[0].kind: must be one of flat, per_unit, tier, attribute, cel`,
    ],
    [
      'a list instead of a mapping',
      'overage: { limit: 10000 }',
      'overage: [10000]',
      'terms.overage: must be a mapping',
    ],
    [
      'text instead of true or false',
      'billable: true',
      'billable: yes',
      `${op('flat')}.billable: must be true or false`,
    ],
    [
      'missing billable',
      'title: The same for all\n    billable: true',
      'title: The same for all',
      `${op('flat')}.billable: missing key`,
    ],
    ['an empty title', 'title: By size', 'title: ""', `${op('tier')}.title: must not be empty`],
  ])('%s', (_name, from, to, error) => {
    expect(errorsIn(withReplaced(from, to))).toEqual(containing(error));
  });
});

describe('an invalid or duplicate name is an error', () => {
  test.each<InvalidPlanRow>([
    [
      'a plan id in capitals',
      'plan_id: everything',
      'plan_id: Everything',
      'plan_id: must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter',
    ],
    [
      'a pack id with a space',
      'pack_id: small',
      'pack_id: small pack',
      'packs[0].pack_id: must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter',
    ],
    [
      'an operation name with a dash',
      'job.flat',
      'job-flat',
      'operations.job-flat: must be words of a-z, 0-9 and _ joined by points, at most 128 characters',
    ],
    [
      'a quantity with a reserved word of CEL',
      'size: { title: Size, unit',
      'in: { title: Size, unit',
      `${op('tier')}.quantities.in: is a reserved word`,
    ],
    [
      'a quantity named like a property of every object',
      'size: { title: Size, unit',
      'constructor: { title: Size, unit',
      `${op('tier')}.quantities.constructor: is a reserved word`,
    ],
    [
      'an attribute named like a quantity',
      'mode: { title: Mode',
      'pages: { title: Mode',
      `${op('cel')}.attributes.pages: is also the name of a quantity`,
    ],
    [
      'an empty attribute value',
      '{ png: 1, pdf: 6 }',
      '{ "": 1, pdf: 6 }',
      `${op('format')}.components[0].credits[""]: must be 1 to 64 characters on one line`,
    ],
    [
      'duplicate pack ids',
      'pack_id: large',
      'pack_id: small',
      'packs[1].pack_id: is the same as that of packs[0]',
    ],
  ])('%s', (_name, from, to, error) => {
    expect(errorsIn(withReplaced(from, to))).toEqual(containing(error));
  });
});

describe('a number that is not whole or out of bounds is an error', () => {
  test.each<InvalidPlanRow>([
    [
      'a price with a decimal point',
      'credits: 7 }',
      'credits: 2.5 }',
      `${op('flat')}.components[0].credits: ${whole}`,
    ],
    [
      'a price with an exponent',
      'credits: 7 }',
      'credits: 1e3 }',
      `${op('flat')}.components[0].credits: ${whole}`,
    ],
    [
      'a price written 7.0',
      'credits: 7 }',
      'credits: 7.0 }',
      `${op('flat')}.components[0].credits: ${whole}`,
    ],
    [
      'a negative price',
      'credits: 7 }',
      'credits: -7 }',
      `${op('flat')}.components[0].credits: must not be negative`,
    ],
    [
      'a price in quotes',
      'credits: 7 }',
      'credits: "7" }',
      `${op('flat')}.components[0].credits: must be a whole number from 0 to 9223372036854775807`,
    ],
    [
      'a price above the largest int64',
      'credits: 7 }',
      'credits: 9223372036854775808 }',
      `${op('flat')}.components[0].credits: must be a whole number from 0 to 9223372036854775807`,
    ],
    [
      'a pack of 0 credits',
      'credits: 100,',
      'credits: 0,',
      'packs[0].credits: must be a whole number from 1 to 9223372036854775807',
    ],
    [
      'a negative overage limit',
      'limit: 10000',
      'limit: -1',
      'terms.overage.limit: must not be negative',
    ],
  ])('%s', (_name, from, to, error) => {
    expect(errorsIn(withReplaced(from, to))).toEqual(containing(error));
  });
});

describe('invalid money, validities and durations are errors', () => {
  test.each<InvalidPlanRow>([
    [
      'a negative amount of money',
      'price: 10 USD',
      'price: -10 USD',
      'packs[0].price: must not be negative',
    ],
    [
      'a pack with a price of 0',
      'price: 10 USD',
      'price: 0 USD',
      'packs[0].price: must be more than 0',
    ],
    [
      'money with too many decimals',
      '80.50 USD',
      '80.505 USD',
      'packs[1].price: has more than the 2 decimals of USD',
    ],
    ['money without a currency', '80.50 USD', '80.50', 'packs[1].price: must be text'],
    [
      'a currency that is not of ISO 4217',
      '80.50 USD',
      '80.50 Dollar',
      'packs[1].price: must be an amount and an ISO 4217 currency code, such as 19.00 USD',
    ],
    [
      'a currency that does not exist',
      '80.50 USD',
      '80.50 UDS',
      'packs[1].price: UDS is not a currency of ISO 4217',
    ],
    [
      'a currency that does not exist, with many decimals',
      '80.50 USD',
      '80.50123 ZZZ',
      'packs[1].price: ZZZ is not a currency of ISO 4217',
    ],
    [
      'decimals that the payment provider does not take',
      '80.50 USD',
      '5.125 KWD',
      'packs[1].price: the payment provider takes KWD in steps of 0.010 KWD',
    ],
    [
      'decimals of a currency without any',
      '80.50 USD',
      '1.50 JPY',
      'packs[1].price: has more than the 0 decimals of JPY',
    ],
    [
      'a price that is too low for the payment provider',
      '80.50 USD',
      '0.49 USD',
      "packs[1].price: is below the payment provider's minimum of 0.50 USD",
    ],
    [
      'a price that is too high for the payment provider',
      '80.50 USD',
      '1000000 USD',
      "packs[1].price: is above the payment provider's maximum of 999999.99 USD",
    ],
    [
      'overage in a currency that does not exist',
      'overage: { limit: 10000 }',
      'overage: { limit: 1, mode: volume, currency: UDS, tiers: [{ price: "1" }] }',
      'terms.overage.currency: UDS is not a currency of ISO 4217',
    ],
    [
      'a validity of 0 months',
      '12 months',
      '0 months',
      'packs[0].validity: must be never, or whole months or days such as 12 months',
    ],
    ['a missing validity', ', validity: 12 months', '', 'packs[0].validity: missing key'],
    [
      'a level that is no whole number',
      'low_balance_threshold: 40',
      'low_balance_levels: [2.5]',
      'terms.low_balance_levels[0]: must be a whole number of credits from 1, or a percentage from 1% to 100%',
    ],
    [
      'a level of 0',
      'low_balance_threshold: 40',
      'low_balance_levels: [10%, 0]',
      'terms.low_balance_levels[1]: must be a whole number of credits from 1, or a percentage from 1% to 100%',
    ],
    [
      'a level above 100 %',
      'low_balance_threshold: 40',
      'low_balance_levels: [101%]',
      'terms.low_balance_levels[0]: must be a whole number of credits from 1, or a percentage from 1% to 100%',
    ],
    [
      'a level stated twice',
      'low_balance_threshold: 40',
      'low_balance_levels: [5, 10%, 5]',
      'terms.low_balance_levels[2]: is the same as low_balance_levels[0]',
    ],
    [
      'a threshold beside levels',
      'low_balance_threshold: 40',
      'low_balance_threshold: 40\n  low_balance_levels: [5]',
      'terms.low_balance_threshold: is short for one level: give it or low_balance_levels',
    ],
    ['a ttl above max_ttl', 'ttl: 90s', 'ttl: 3h', 'terms.reservation.ttl: is longer than max_ttl'],
    [
      'a ttl of 0',
      'ttl: 90s',
      'ttl: 0s',
      'terms.reservation.ttl: must be a length of time such as 15m or 24h, from 1s to 366d',
    ],
    ['a duration without a unit', 'ttl: 90s', 'ttl: 90', 'terms.reservation.ttl: must be text'],
    [
      'an unknown period',
      'every: month',
      'every: week',
      'terms.allowance.every: must be month, or whole months or days such as 30 days',
    ],
    [
      'a period that never ends',
      'every: month',
      'every: never',
      'terms.allowance.every: must be month, or whole months or days such as 30 days',
    ],
    ['a period left unsaid', 'every: month, ', '', 'terms.allowance.every: missing key'],
    [
      'a rollover that is none of these',
      'rollover: none',
      'rollover: some',
      'terms.allowance.rollover: must be none, all or { up_to: credits }',
    ],
    [
      'a rollover of nothing',
      'rollover: none',
      'rollover: { up_to: 0 }',
      'terms.allowance.rollover: must be none, all or { up_to: credits }',
    ],
    ['a rollover left unsaid', ', rollover: none', '', 'terms.allowance.rollover: missing key'],
    [
      'a word for refunds of expired credits that is none',
      'refund_expired: new_grant',
      'refund_expired: lost',
      'terms.refund_expired: must be breakage or new_grant',
    ],
    [
      'a notice longer than a year',
      'expiring_notice: 36h',
      'expiring_notice: 400d',
      'terms.expiring_notice: must be a length of time such as 15m or 24h, from 0s to 366d',
    ],
    ...['0s', '23h', '1439m', '26d', '3 days'].map((length): [string, string, string, string] => [
      `late usage of ${length}`,
      'late_usage: 3d',
      `late_usage: ${length}`,
      'terms.late_usage: must be a length of time such as 15m or 24h, from 1d to 25d',
    ]),
    [
      'a time zone that is none',
      'expiring_notice: 36h',
      'time_zone: "+01:00"',
      'terms.time_zone: must be an IANA time zone such as Europe/Berlin',
    ],
  ])('%s', (_name, from, to, error) => {
    expect(errorsIn(withReplaced(from, to))).toEqual(containing(error));
  });
});
