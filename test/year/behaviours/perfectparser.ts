/** PerfectParser: batches of documents, paid first from welcome credits, then from packs of a year. */
import { mapOf } from '../../../src/map-of.ts';
import type { Random } from '../../cluster/random.ts';
import type { Behaviour } from './behaviour.ts';
import { jobs } from './jobs.ts';

const EXTRACTIONS = ['extraction.result_per_file', 'extraction.result_per_page'] as const;

export const perfectparser = (random: Random): Behaviour =>
  jobs(random, {
    usages(random) {
      const pages = BigInt(random.integer(1, 4));
      const count = random.integer(1, 25);
      const batch = { operation: random.of(EXTRACTIONS), quantities: mapOf({ pages }) };
      const images = { operation: 'extraction.image', count: BigInt(random.integer(1, 6)) };
      const done = random.integer(1, count);
      return {
        reserved: [{ ...batch, count: BigInt(count) }, images],
        done: [{ ...batch, count: BigInt(done) }, images],
      };
    },
    packs: ['starter', 'starter', 'small', 'small', 'medium', 'popular', 'growth', 'scale'],
    perDay: 0.04,
    perDayAfterwards: 0.008,
    buysAhead: 0.002,
    buysAtOnce: false,
  });
