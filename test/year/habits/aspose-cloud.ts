/**
 * Aspose Cloud: outputs by very different appetites, paid afterwards; some buy ahead. Jobs that run
 * over the month's turn are committed in time, late, too late or never. Some of it is refunded, in the
 * same month or after it was billed.
 */
import type { Random } from '../../cluster/random.ts';
import type { Usage, UsagesOrCredits } from '../log.ts';
import type { Moment, MomentName } from '../moment.ts';
import { chance, type Habit, Refundable } from './habit.ts';

type Appetite = {
  /** Outputs in one charge. */
  readonly outputs: readonly [min: number, max: number];
  readonly pack: string;
  /** Of buying it on a day. */
  readonly buys: number;
};

const LIGHT: Appetite = { outputs: [1, 14], pack: 'prepaid-1000', buys: 0 };
const STEADY: Appetite = { outputs: [20, 400], pack: 'prepaid-1000', buys: 0.004 };
const HEAVY: Appetite = { outputs: [1_500, 5_500], pack: 'prepaid-10000', buys: 0.006 };
const GIANT: Appetite = { outputs: [20_000, 45_000], pack: 'prepaid-100000', buys: 0.003 };

const OUTPUTS = [
  'document.create',
  'document.convert',
  'barcode.process',
  'ocr.recognize',
] as const;
const FREE = ['document.upload', 'text.search_replace', 'document.merge'] as const;

/** How a job over the month's turn goes on: at which moment it is committed. */
const ENDS: readonly [MomentName | 'never', ...(MomentName | 'never')[]] = [
  'turn',
  'turn',
  'grace',
  'grace',
  'morning',
  'never',
];

const appetiteOf = (random: Random): Appetite =>
  random.of([LIGHT, LIGHT, LIGHT, STEADY, STEADY, STEADY, STEADY, HEAVY, HEAVY, GIANT]);

export function asposeCloud(random: Random): Habit {
  const appetite = appetiteOf(random);
  const prepays = chance(random, 0.4);
  const refundable = new Refundable(6);
  let running: { readonly reservationId: string; readonly endsAt: MomentName | 'never' } | null =
    null;

  const usages = (): readonly Usage[] => {
    const billable = () => ({
      operation: random.of(OUTPUTS),
      count: BigInt(random.integer(...appetite.outputs)),
    });
    const free = { operation: random.of(FREE), count: BigInt(random.integer(1, 9)) };
    return [
      ...(chance(random, 0.2) ? [free] : []),
      billable(),
      ...(chance(random, 0.2) ? [billable()] : []),
    ];
  };
  const commits = ({ name }: Moment): readonly UsagesOrCredits[] => {
    if (running?.endsAt !== name) return [];
    const { reservationId } = running;
    running = null;
    return [{ kind: 'commit', reservationId, final: true }];
  };

  return {
    asks(moment) {
      const ends = commits(moment);
      switch (moment.name) {
        case 'morning': {
          const buys = moment.inYear && prepays && chance(random, appetite.buys);
          return buys ? [...ends, { kind: 'purchase', packId: appetite.pack }] : ends;
        }
        case 'afternoon': {
          const charges = moment.inYear && chance(random, 0.1);
          // Also when the year is over: its last bills are not beyond dispute yet.
          const refunds = moment.day < 400 && chance(random, 0.012);
          return [
            ...(charges ? [{ kind: 'charge', usages: usages() } as const] : []),
            ...(refunds ? refundable.ask(random) : []),
          ];
        }
        case 'evening': {
          const reserves = moment.inYear && moment.lastOfMonth && chance(random, 0.12);
          return reserves ? [{ kind: 'reserve', usages: usages() }] : [];
        }
        default:
          return ends;
      }
    },
    heard(asked, answer) {
      if (answer.refused) return;
      if (asked.kind === 'reserve')
        running = { reservationId: answer.reservationId, endsAt: random.of(ENDS) };
      if (asked.kind === 'charge' || asked.kind === 'commit')
        refundable.add(answer.seq, answer.credits);
    },
  };
}
