/** Verts: asynchronous jobs that upscale, convert, resize and inspect, paid from packs without expiry. */
import { mapOf } from '../../../src/map-of.ts';
import type { Random } from '../../cluster/random.ts';
import type { Usage } from '../usage-log.ts';
import type { Behaviour } from './behaviour.ts';
import { jobs } from './jobs.ts';

const FACTORS = [2n, 4n, 6n, 8n, 16n] as const;
const FORMATS = ['png', 'webp', 'pdf', 'docx', 'mp4', 'avif'] as const;
const PIXELS = [640_000n, 3_000_000n, 12_000_000n, 60_000_000n] as const;

function usage(random: Random): Usage {
  const count = BigInt(random.integer(1, 6));
  switch (random.integer(0, 3)) {
    case 0:
      return {
        operation: 'image.upscale',
        count,
        quantities: mapOf({ scale_factor: random.of(FACTORS) }),
      };
    case 1:
      return {
        operation: 'file.convert',
        count,
        attributes: mapOf({ output_format: random.of(FORMATS) }),
      };
    case 2:
      return {
        operation: 'image.resize',
        count,
        quantities: mapOf({ output_pixels: random.of(PIXELS) }),
      };
    default:
      return { operation: 'file.inspect', count };
  }
}

export const verts = (random: Random): Behaviour =>
  jobs(random, {
    usages(random) {
      const reserved = Array.from({ length: random.integer(1, 4) }, () => usage(random));
      return { reserved, done: reserved.slice(0, random.integer(1, reserved.length)) };
    },
    packs: ['starter', 'starter', 'starter', 'standard', 'professional'],
    perDay: 0.05,
    perDayAfterwards: 0.006,
    buysAhead: 0.0005,
    buysAtOnce: true,
  });
