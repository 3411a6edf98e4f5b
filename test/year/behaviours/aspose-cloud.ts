/**
 * Aspose Cloud: postpaid customers of very different volumes; some buy packs. Jobs across the end of a month
 * are committed in time, late, too late or never. Some charges are refunded, in the same month or after
 * they were billed. Some usage is reported days after it happened, most of it in the first days of a month.
 */
import type { Random } from '../../cluster/random.ts';
import { HOUR_MS } from '../calendar.ts';
import { usedBefore } from '../late-usage.ts';
import type { TimeOfDay, TimeOfDayName } from '../time-of-day.ts';
import type { LoggedRequest, Usage } from '../usage-log.ts';
import { type Behaviour, chance, Refundable } from './behaviour.ts';

type Running = {
  readonly reservationId: string;
  readonly endsAt: TimeOfDayName | 'never';
  readonly fails: boolean;
};

type Volume = {
  /** Outputs in one charge. */
  readonly outputs: readonly [min: number, max: number];
  readonly pack: string;
  /** Probability of buying it on a day. */
  readonly buys: number;
};

const LIGHT: Volume = { outputs: [1, 14], pack: 'prepaid-1000', buys: 0 };
const STEADY: Volume = { outputs: [20, 400], pack: 'prepaid-1000', buys: 0.004 };
const HEAVY: Volume = { outputs: [1_500, 5_500], pack: 'prepaid-10000', buys: 0.006 };
const GIANT: Volume = { outputs: [20_000, 45_000], pack: 'prepaid-100000', buys: 0.003 };

const OUTPUTS = [
  'document.create',
  'document.convert',
  'barcode.process',
  'ocr.recognize',
] as const;
const FREE = ['document.upload', 'text.search_replace', 'document.merge'] as const;

/** When a job across the end of a month is committed. */
const ENDS: readonly [TimeOfDayName | 'never', ...(TimeOfDayName | 'never')[]] = [
  'midnight',
  'midnight',
  'grace',
  'grace',
  'morning',
  'never',
];

/** Jobs that are reserved late, by day, are committed or released in the afternoon. */
const LATE_JOB_TTL_MS = 8 * HOUR_MS;

const chooseVolume = (random: Random): Volume =>
  random.of([LIGHT, LIGHT, LIGHT, STEADY, STEADY, STEADY, STEADY, HEAVY, HEAVY, GIANT]);

export function asposeCloud(random: Random): Behaviour {
  const volume = chooseVolume(random);
  const prepays = chance(random, 0.4);
  const refundable = new Refundable(6);
  let running: Running | null = null;

  const usages = (): readonly Usage[] => {
    const billable = () => ({
      operation: random.of(OUTPUTS),
      count: BigInt(random.integer(...volume.outputs)),
    });
    const free = { operation: random.of(FREE), count: BigInt(random.integer(1, 9)) };
    return [
      ...(chance(random, 0.2) ? [free] : []),
      billable(),
      ...(chance(random, 0.2) ? [billable()] : []),
    ];
  };
  const endAt = ({ name }: TimeOfDay): readonly LoggedRequest[] => {
    if (running?.endsAt !== name) return [];
    const { reservationId, fails } = running;
    running = null;
    return fails
      ? [{ kind: 'release', reservationId }]
      : [{ kind: 'commit', reservationId, final: true }];
  };
  const charge = ({ at }: TimeOfDay, isLate: boolean): LoggedRequest => ({
    ...{ kind: 'charge', usages: usages() },
    ...(isLate && { usedAt: usedBefore(random, at) }),
  });
  const reserveLate = ({ at }: TimeOfDay): LoggedRequest => ({
    ...{ kind: 'reserve', usages: usages(), ttlMs: LATE_JOB_TTL_MS },
    usedAt: usedBefore(random, at),
  });

  return {
    requests(time) {
      const ended = endAt(time);
      switch (time.name) {
        case 'morning': {
          const buys = time.inYear && prepays && chance(random, volume.buys);
          const reserves = time.inYear && chance(random, time.dayOfMonth <= 3 ? 0.05 : 0.002);
          return [
            ...ended,
            ...(buys ? [{ kind: 'purchase', packId: volume.pack } as const] : []),
            ...(reserves ? [reserveLate(time)] : []),
          ];
        }
        case 'afternoon': {
          const charges = time.inYear && chance(random, 0.1);
          // What devices used while they were offline, sent when they are back.
          const reports = time.inYear && chance(random, time.dayOfMonth <= 3 ? 0.06 : 0);
          // Also after the year: its last bills can still be refunded.
          const refunds = time.day < 400 && chance(random, 0.012);
          return [
            ...ended,
            ...(charges ? [charge(time, chance(random, 0.05))] : []),
            ...(reports ? [charge(time, true)] : []),
            ...(refunds ? refundable.refund(random) : []),
          ];
        }
        case 'evening': {
          const reserves = time.inYear && time.lastOfMonth && chance(random, 0.12);
          return reserves ? [{ kind: 'reserve', usages: usages() }] : [];
        }
        default:
          return ended;
      }
    },
    onResponse(request, response) {
      if (response.refused) return;
      if (request.kind === 'reserve')
        running =
          request.usedAt === undefined
            ? { reservationId: response.reservationId, endsAt: random.of(ENDS), fails: false }
            : {
                reservationId: response.reservationId,
                endsAt: chance(random, 0.2) ? 'never' : 'afternoon',
                fails: chance(random, 0.2),
              };
      if (request.kind === 'charge' || request.kind === 'commit')
        refundable.add(response.seq, response.credits);
    },
  };
}
