/** Addresses of the console's pages keep ids as they are, whatever characters they have. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sampledSeqs } from '../../../clients/console/src/pages/account/samples.ts';
import { hrefOf, readPlace } from '../../../clients/console/src/router.tsx';

/** Any id of an account: 1 to 128 printable ASCII characters without spaces. */
const accountId = fc.oneof(
  fc.stringMatching(/^[\x21-\x7e]{1,128}$/),
  fc.stringMatching(/^[~.%/]{1,5}$/),
);

test('the id in an address is the one that it was made of', () => {
  fc.assert(
    fc.property(accountId, (id) => {
      // As a browser reads it: it resolves dots.
      const url = new URL(
        hrefOf(['accounts', id, 'history'], { upto: '5', kind: '' }),
        'http://localhost',
      );
      expect(readPlace(url).segments).toEqual(['accounts', id, 'history']);
      expect(url.search).toBe('?upto=5');
    }),
  );
});

test('samples of a history begin at its first entry, end at its last, and are few', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1e7 }),
      fc.integer({ min: 0, max: 1e7 }),
      (from, more) => {
        const seqs = sampledSeqs({ from, to: from + more }, 64);
        expect(seqs.length).toBeLessThanOrEqual(64);
        expect([seqs[0], seqs.at(-1)]).toEqual([from, from + more]);
        expect(seqs).toEqual([...new Set(seqs)].toSorted((a, b) => a - b));
      },
    ),
  );
});
