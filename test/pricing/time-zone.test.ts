import { expect, test } from 'vitest';
import { canonicalTimeZone, TIME_ZONE_MAX } from '../../src/pricing/time-zone.ts';

test.each([
  ['Europe/Berlin', 'Europe/Berlin'],
  ['europe/BERLIN', 'Europe/Berlin'],
  ['Asia/Calcutta', 'Asia/Kolkata'],
  ['Asia/Kolkata', 'Asia/Kolkata'],
  ['Europe/Kiev', 'Europe/Kyiv'],
  ['US/Eastern', 'America/New_York'],
  ['America/Buenos_Aires', 'America/Argentina/Buenos_Aires'],
  ['GMT', 'UTC'],
  ['Etc/UTC', 'UTC'],
  ['Etc/GMT+5', 'Etc/GMT+5'],
])('%s is %s', (name, canonical) => {
  expect(canonicalTimeZone(name)).toBe(canonical);
});

test.each([
  '',
  'Mars/Olympus',
  '+01:00',
  '-0530',
  'Europe',
  'Local',
  'a'.repeat(65),
  ' UTC',
  'UTC\n',
])('%j is none', (name) => {
  expect(canonicalTimeZone(name)).toBeNull();
});

test('every canonical name is the canonical name of itself', () => {
  for (const zone of Intl.supportedValuesOf('timeZone')) {
    const name = canonicalTimeZone(zone);
    expect(name).not.toBeNull();
    expect(canonicalTimeZone(name!)).toBe(name);
    expect(name!.length).toBeLessThanOrEqual(TIME_ZONE_MAX);
  }
});
