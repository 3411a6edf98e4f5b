/**
 * Jobs paid from packs: reserved in the morning, and in the afternoon committed as they turned out,
 * released because they failed, or forgotten. Who has too few credits buys a pack.
 */
import type { Random } from '../../cluster/random.ts';
import { HOUR_MS } from '../calendar.ts';
import type { Usage, UsagesOrCredits } from '../log.ts';
import { chance, type Habit, Refundable } from './habit.ts';

export type Jobs = {
  /** A job's usages, and what of them is done. */
  readonly usages: (random: Random) => { readonly asked: Usage[]; readonly done: Usage[] };
  readonly packs: readonly [string, ...string[]];
  /** Of a job on a day of the year, and after it. */
  readonly perDay: number;
  readonly perDayAfterwards: number;
  /** Of a pack bought on a day without need. */
  readonly buysAhead: number;
  /** Whether the customer begins with a pack. */
  readonly buysAtOnce: boolean;
};

const JOB_TTL_MS = 8 * HOUR_MS;

export function jobs(random: Random, kind: Jobs): Habit {
  const refundable = new Refundable(4);
  const pack = random.of(kind.packs);
  let running: { readonly reservationId: string; readonly done: readonly Usage[] } | null = null;
  let reserving: readonly Usage[] = [];
  let needsPack = kind.buysAtOnce;

  const reserve = (): UsagesOrCredits => {
    const { asked, done } = kind.usages(random);
    reserving = done;
    return { kind: 'reserve', usages: asked, ttlMs: JOB_TTL_MS };
  };
  const end = (): readonly UsagesOrCredits[] => {
    if (!running) return [];
    const { reservationId, done } = running;
    running = null;
    const fate = random.next();
    if (fate < 0.12) return [{ kind: 'release', reservationId }];
    if (fate < 0.24) return []; // forgotten: it expires
    if (fate < 0.5) return [{ kind: 'commit', reservationId, final: true }];
    if (fate < 0.8 || done.length < 2)
      return [{ kind: 'commit', reservationId, usages: done, final: true }];
    const [first, ...others] = done as [Usage, ...Usage[]];
    return [
      { kind: 'commit', reservationId, usages: [first], final: false },
      { kind: 'commit', reservationId, usages: others, final: true },
    ];
  };

  return {
    asks({ name, inYear }) {
      if (name === 'afternoon')
        return [...end(), ...(chance(random, 0.004) ? refundable.ask(random) : [])];
      if (name !== 'morning') return [];
      const buys = inYear && (needsPack || chance(random, kind.buysAhead));
      if (buys) needsPack = false;
      const works = chance(random, inYear ? kind.perDay : kind.perDayAfterwards);
      return [
        ...(buys ? [{ kind: 'purchase', packId: pack } as const] : []),
        ...(works ? [reserve()] : []),
      ];
    },
    heard(asked, answer) {
      if (answer.refused === 'INSUFFICIENT_CREDITS') needsPack = true;
      if (answer.refused) return;
      if (asked.kind === 'reserve')
        running = { reservationId: answer.reservationId, done: reserving };
      if (asked.kind === 'commit') refundable.add(answer.seq, answer.credits);
    },
  };
}
