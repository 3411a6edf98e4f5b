/** The cases that are measured in every round, in this order. */
import { accounts } from './ledger.ts';
import { type Accounts, accountId, type Load, type Operation } from './load-spec.ts';

/** What is measured: the service, a baseline that speaks gRPC, or the database itself. */
export type Subject = 'service' | 'echo' | 'textbook' | 'hand-tuned' | 'copy';

export type Case = {
  readonly name: string;
  /** As the report shows it. */
  readonly title: string;
  /** What one operation is. */
  readonly unit: 'call' | 'pair' | 'mutation' | 'operation' | 'entry' | 'use';
  readonly subject: Subject;
  /**
   * Consecutive cases with the same value are measured alternately within a round, in slices of a
   * second: they are compared, and a disturbance of some seconds then affects all of them.
   */
  readonly interleaved: 'reserve' | 'balance' | 'half' | `client_${number}` | null;
  /** Cases whose figures `load` uses. */
  readonly needs: readonly string[];
  /** Multiplies the time of measurement: fewer calls that carry more operations need longer. */
  readonly durationFactor: number;
  readonly load: (figures: CaseInputs) => Pick<Load, 'operation' | 'inFlight' | 'perSecond'>;
};

/** What the load of a case may depend on. */
export type CaseInputs = {
  /** Throughput of a case when it was last measured. */
  readonly perSecondOf: (name: string) => number;
  readonly historyEntries: number;
  readonly handTunedPool: number;
  /** Length of the case with its warm-up. */
  readonly seconds: number;
};

const IN_FLIGHT = 64;
/** While the lane processes one batch, others are being received and sent. */
export const BATCHES_IN_FLIGHT = 4;

type Description = Pick<Case, 'name' | 'title' | 'unit'> &
  Partial<Pick<Case, 'subject' | 'interleaved' | 'durationFactor'>>;

/** A closed loop, by default of the service. */
const closedLoop = (
  description: Description,
  operation: Operation | ((figures: CaseInputs) => Operation),
  inFlight = IN_FLIGHT,
): Case => ({
  subject: 'service',
  interleaved: null,
  needs: [],
  durationFactor: 1,
  ...description,
  load: (figures) => ({
    operation: typeof operation === 'function' ? operation(figures) : operation,
    inFlight,
  }),
});

const { spread, hot, historic } = accounts;

const batch = (name: string, title: string, of: Accounts, size: number): Case =>
  closedLoop(
    { name, title, unit: 'mutation', durationFactor: 1.5 },
    { kind: 'batch', accounts: of, size },
    BATCHES_IN_FLIGHT,
  );

/** Reserve by the client package: in calls of its own, and with automatic batching. */
const byClient = (inFlight: number): readonly Case[] =>
  [false, true].map((batching) =>
    closedLoop(
      {
        name: `client_${batching ? 'batching' : 'single'}_${inFlight}`,
        title: `Reserve by the client, ${batching ? 'batching' : 'single calls'}, ${inFlight} in flight`,
        unit: 'mutation',
        interleaved: `client_${inFlight}`,
        durationFactor: 1.5,
      },
      { kind: 'client', accounts: spread, batching },
      inFlight,
    ),
  );

/** What `--only client` measures. */
const clientCases: readonly Case[] = [
  ...byClient(1),
  ...byClient(64),
  ...byClient(1_000),
  closedLoop(
    { name: 'client_meter', title: "Uses of the client's meter", unit: 'use' },
    { kind: 'meter', accountId: accountId(spread, 0), size: 10_000 },
    1,
  ),
];

/** Latency at half of the service's maximum rate. */
const atHalfLoad = (name: string, title: string, subject: Subject): Case => ({
  ...closedLoop(
    { name, title, unit: 'call', subject, interleaved: 'half' },
    { kind: 'reserve', accounts: spread },
  ),
  needs: ['reserve'],
  load: ({ perSecondOf }) => ({
    operation: { kind: 'reserve', accounts: spread },
    inFlight: IN_FLIGHT,
    perSecond: perSecondOf('reserve') / 2,
  }),
});

const history = ({ historyEntries }: CaseInputs) => ({
  accountId: accountId(historic, 0),
  // The charges, and before them the opening and the grant.
  entries: historyEntries + 2,
});

export const cases: readonly Case[] = [
  closedLoop(
    {
      name: 'echo',
      title: "Reserve's messages, nothing done",
      unit: 'call',
      subject: 'echo',
      interleaved: 'reserve',
    },
    { kind: 'reserve', accounts: spread },
  ),
  closedLoop(
    { name: 'reserve', title: 'Reserve, 10,000 accounts', unit: 'call', interleaved: 'reserve' },
    { kind: 'reserve', accounts: spread },
  ),
  closedLoop(
    {
      name: 'reserve_hot',
      title: 'Reserve, one hot account',
      unit: 'call',
      interleaved: 'reserve',
    },
    { kind: 'reserve', accounts: hot },
  ),
  closedLoop(
    { name: 'commit', title: 'Commit', unit: 'call', interleaved: 'reserve' },
    ({ seconds }) => ({
      kind: 'commit',
      accounts: spread,
      // More than can be committed in that time.
      prepare: Math.ceil(seconds * 6_000),
    }),
  ),
  closedLoop(
    { name: 'reserve_commit', title: 'Reserve then Commit', unit: 'pair' },
    { kind: 'pair', accounts: spread },
  ),
  closedLoop(
    { name: 'charge', title: 'Charge', unit: 'call' },
    { kind: 'charge', accounts: spread },
  ),
  closedLoop(
    { name: 'reserve_labelled', title: 'Reserve with a label', unit: 'call' },
    { kind: 'labelled', accounts: spread },
  ),
  batch('batch_100', 'Reserve in Batch of 100', spread, 100),
  batch('batch_1000', 'Reserve in Batch of 1,000', spread, 1_000),
  batch('batch_1000_hot', 'Reserve in Batch of 1,000, one hot account', hot, 1_000),
  closedLoop(
    {
      name: 'echo_balance',
      title: "GetBalance's messages, nothing done",
      unit: 'call',
      subject: 'echo',
      interleaved: 'balance',
    },
    { kind: 'balance', accounts: spread },
  ),
  closedLoop(
    { name: 'balance', title: 'GetBalance', unit: 'call', interleaved: 'balance' },
    { kind: 'balance', accounts: spread },
  ),
  closedLoop(
    { name: 'estimate', title: 'Estimate', unit: 'call' },
    { kind: 'estimate', accounts: spread },
  ),
  closedLoop(
    { name: 'mixed', title: 'Mixed, three tenants', unit: 'operation' },
    { kind: 'mixed' },
  ),
  closedLoop(
    { name: 'history', title: 'StreamHistory of one account', unit: 'entry', durationFactor: 1.5 },
    (figures) => ({ kind: 'history', ...history(figures) }),
    1,
  ),
  closedLoop(
    { name: 'copy', title: 'COPY of the same rows', unit: 'entry', subject: 'copy' },
    (figures) => ({ kind: 'copy', ...history(figures) }),
    1,
  ),
  ...clientCases,
  atHalfLoad('reserve_at_half', 'Reserve at half its maximum, open loop', 'service'),
  atHalfLoad('echo_at_half', 'echo at the same rate, open loop', 'echo'),
  closedLoop(
    { name: 'textbook', title: 'Reserve, textbook', unit: 'call', subject: 'textbook' },
    { kind: 'reserve', accounts: spread },
  ),
  closedLoop(
    { name: 'hand_tuned', title: 'Reserve, hand-tuned', unit: 'call', subject: 'hand-tuned' },
    ({ handTunedPool }) => ({ kind: 'function', accounts: spread, pool: handTunedPool }),
  ),
  closedLoop(
    {
      name: 'hand_tuned_hot',
      title: 'Reserve, hand-tuned, one hot account',
      unit: 'call',
      subject: 'hand-tuned',
    },
    ({ handTunedPool }) => ({ kind: 'function', accounts: hot, pool: handTunedPool }),
  ),
];

/** The cases named in `only` and `also` and those they need, in order. All if `only` is empty. */
export function casesNamed(only: readonly string[], also: readonly string[]): readonly Case[] {
  if (only.length === 0) return cases;
  const wanted = new Set([...only, ...also]);
  if (wanted.has('client')) for (const { name } of clientCases) wanted.add(name);
  for (const { name, needs } of cases)
    if (wanted.has(name)) for (const needed of needs) wanted.add(needed);
  return cases.filter(({ name }) => wanted.has(name));
}
