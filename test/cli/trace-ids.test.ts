/** What an id can be, by its form. */
import { expect, test } from 'vitest';
import { type IdKind, possibleIds } from '../../src/cli/trace-ids.ts';

const UUID = '0198f0c4-6a5e-7c3a-9b1d-2e4f6a8b0c1d';
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

const kindsOf = (text: string, accountId = '', kind?: IdKind) =>
  possibleIds(text, accountId, kind).map((one) => one.kind);

test.each<readonly [string, string, readonly IdKind[]]>([
  ['a trace id', TRACE, ['trace', 'request', 'reference']],
  ['one in capitals', TRACE.toUpperCase(), ['trace', 'request', 'reference']],
  ['a traceparent', `00-${TRACE}-00f067aa0ba902b7-01`, ['trace', 'request', 'reference']],
  ['zeros', '0'.repeat(32), ['request', 'reference']],
  ['a UUID', UUID, ['reservation', 'purchase', 'request', 'reference']],
  ['a word', 'job-17', ['request', 'reference']],
  ['account and seq', 'acme/17', ['request', 'reference', 'entry']],
  ['an account with slashes', 'spaces/acme/17', ['request', 'reference', 'entry']],
  ['seq 0', 'acme/0', ['request', 'reference']],
  ['a number without an account', '17', ['request', 'reference']],
  ['other characters than ASCII', 'Auftrag für Ann', ['reference']],
  ['too much for a request id', 'x'.repeat(129), ['reference']],
  ['nothing', '', []],
])('%s', (_, text, kinds) => {
  expect(kindsOf(text)).toEqual(kinds);
});

test('with an account a number is an entry of it, and an entry of another account is none', () => {
  expect(possibleIds('17', 'acme', 'entry')).toEqual([
    { kind: 'entry', accountId: 'acme', id: { $case: 'entrySeq', value: 17n } },
  ]);
  expect(kindsOf('acme/17', 'acme')).toContain('entry');
  expect(kindsOf('other/17', 'acme')).not.toContain('entry');
});

test('a kind that is named is the only one, if the text can be that', () => {
  expect(kindsOf(UUID, '', 'request')).toEqual(['request']);
  expect(kindsOf('job-17', '', 'trace')).toEqual([]);
});

test('of a traceparent the trace id is asked for', () => {
  const [asTrace] = possibleIds(`00-${TRACE}-00f067aa0ba902b7-01`, 'acme', 'trace');
  expect(asTrace).toEqual({
    kind: 'trace',
    accountId: 'acme',
    id: { $case: 'traceId', value: TRACE },
  });
});
