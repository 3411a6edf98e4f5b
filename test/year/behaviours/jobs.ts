/**
 * Jobs paid from packs: reserved in the morning; in the afternoon committed, released because they failed,
 * or forgotten. A customer with too few credits buys a pack. On some packs an operator grants a longer time the day
 * after, and voids some of its credits.
 */
import type { Random } from '../../cluster/random.ts';
import { HOUR_MS, laterByMonths } from '../calendar.ts';
import type { LoggedRequest, Usage } from '../usage-log.ts';
import { type Behaviour, chance, Refundable } from './behaviour.ts';

export type Jobs = {
  /** The usages that a job reserves, and those that it commits. */
  readonly usages: (random: Random) => { readonly reserved: Usage[]; readonly done: Usage[] };
  readonly packs: readonly [string, ...string[]];
  /** Probability of a job on a day of the year, and after the year. */
  readonly perDay: number;
  readonly perDayAfterwards: number;
  /** Probability of buying a pack on a day without need. */
  readonly buysAhead: number;
  /** Whether the customer starts with a pack. */
  readonly buysAtOnce: boolean;
};

const JOB_TTL_MS = 8 * HOUR_MS;

export function jobs(random: Random, kind: Jobs): Behaviour {
  const refundable = new Refundable(4);
  const pack = random.of(kind.packs);
  let running: { readonly reservationId: string; readonly done: readonly Usage[] } | null = null;
  let reserving: readonly Usage[] = [];
  let needsPack = kind.buysAtOnce;
  let packs = 0;
  /** A pack that is to be corrected. */
  let toCorrect: bigint | null = null;

  const reserve = (): LoggedRequest => {
    const { reserved, done } = kind.usages(random);
    reserving = done;
    return { kind: 'reserve', usages: reserved, ttlMs: JOB_TTL_MS };
  };
  const end = (): readonly LoggedRequest[] => {
    if (!running) return [];
    const { reservationId, done } = running;
    running = null;
    const outcome = random.next();
    if (outcome < 0.12) return [{ kind: 'release', reservationId }];
    if (outcome < 0.24) return []; // forgotten: it expires
    if (outcome < 0.5) return [{ kind: 'commit', reservationId, final: true }];
    if (outcome < 0.8 || done.length < 2)
      return [{ kind: 'commit', reservationId, usages: done, final: true }];
    const [first, ...others] = done as [Usage, ...Usage[]];
    return [
      { kind: 'commit', reservationId, usages: [first], final: false },
      { kind: 'commit', reservationId, usages: others, final: true },
    ];
  };

  const correct = (at: number): readonly LoggedRequest[] => {
    const grantId = toCorrect;
    if (grantId === null) return [];
    toCorrect = null;
    return [
      { kind: 'void', grantId, credits: 3n },
      { kind: 'extend grant', grantId, expiresAt: laterByMonths(at, 14) },
    ];
  };

  return {
    requests({ name, inYear, at }) {
      if (name === 'evening') return correct(at);
      if (name === 'afternoon')
        return [...end(), ...(chance(random, 0.004) ? refundable.refund(random) : [])];
      if (name !== 'morning') return [];
      const buys = inYear && (needsPack || chance(random, kind.buysAhead));
      if (buys) needsPack = false;
      const works = chance(random, inYear ? kind.perDay : kind.perDayAfterwards);
      return [
        ...(buys ? [{ kind: 'purchase', packId: pack } as const] : []),
        ...(works ? [reserve()] : []),
      ];
    },
    onResponse(request, response) {
      if (response.refused === 'INSUFFICIENT_CREDITS') needsPack = true;
      if (response.refused) return;
      if (request.kind === 'reserve')
        running = { reservationId: response.reservationId, done: reserving };
      // Every third: the others keep their expiry.
      if (request.kind === 'purchase' && ++packs % 3 === 1) toCorrect = response.grantId;
      if (request.kind === 'commit') refundable.add(response.seq, response.credits);
    },
  };
}
