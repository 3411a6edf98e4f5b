/** Whatever a certificate says, it names a caller of the methods of certificates, or none. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { certificateName } from '../../src/authentication/certificate-name.ts';

test.each([
  ['URI:spiffe://example.org/a', 'spiffe://example.org/a'],
  ['URI:spiffe://example.org/a/b-c_d.e/F', 'spiffe://example.org/a/b-c_d.e/F'],
  ['DNS:a.org, IP Address:10.0.0.1, URI:spiffe://example.org/a', 'spiffe://example.org/a'],
  ['URI:"spiffe://example.org/a"', 'spiffe://example.org/a'],
  ['DNS:a.org', 'cn:name'],
  ['', 'cn:name'],
  ['DNS:"a.org, URI:spiffe://example.org/a"', 'cn:name'],
  ['URI:spiffe://Example.org/a', null],
  ['URI:SPIFFE://example.org/a', null],
  ['URI:spiffe://example.org/', null],
  ['URI:spiffe://example.org/a/', null],
  ['URI:spiffe://example.org//a', null],
  ['URI:spiffe://example.org/.', null],
  ['URI:spiffe://example.org:8443/a', null],
  ['URI:spiffe://user@example.org/a', null],
  ['URI:spiffe://example.org/a?b', null],
  ['URI:spiffe://example.org/%61', null],
  ['URI:spiffe:///a', null],
  [`URI:spiffe://example.org/${'a'.repeat(300)}`, null],
  ['URI:spiffe://example.org/a, URI:spiffe://example.org/b', null],
  ['URI:spiffe://example.org/a, unreadable', null],
  ['URI:"\t"', null],
  ['URI:"\\x"', null],
])('a certificate with %s names %s', (subjectaltname, name) => {
  expect(certificateName({ subjectaltname, subject: { CN: 'name' } })).toBe(name);
});

test('several common names are none', () => {
  expect(certificateName({ subject: { CN: ['one', 'two'] } })).toBe(null);
});

test('a name is always printable, and has the prefix of its method', () => {
  const part = fc.constantFrom(
    'URI:',
    'DNS:',
    'spiffe://',
    'a',
    '/',
    ', ',
    '"',
    '\\',
    ' ',
    '\0',
    'ü',
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(part).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, text, (subjectaltname, CN) => {
      const name = certificateName({ subjectaltname, subject: { CN } });
      if (name !== null) expect(name).toMatch(/^(spiffe:\/\/|cn:)[\x21-\x7e]{1,253}$/);
    }),
    { numRuns: 2_000 },
  );
});
