/** The path of a charge as text. */
import { type Bucket, Bucket_Kind, type Entry, Entry_Kind } from '../gen/billing/v1/ledger.ts';
import {
  type ChargeCandidate,
  type ChargeKey,
  type ChargePath,
  ChargePath_Gap,
  ChargePath_State,
  type ChargeStep,
} from '../gen/billing/v1/operator_service.ts';
import { grantLines } from './balance.ts';
import { memberName } from './member-name.ts';
import { instant, nonZero, who } from './print.ts';
import { table } from './table.ts';

export function pathLines(path: ChargePath): readonly string[] {
  const { key, planId, rateCardVersion, steps, grants } = path;
  const prices = priceLines(steps);
  return [
    `${nameOf(key)} of account ${key?.accountId}`,
    `plan ${planId}${rateCardVersion > 0n ? `, rate card version ${rateCardVersion}` : ''}`,
    stateLine(path),
    '',
    ...stepLines(steps),
    ...(prices.length > 0 ? ['', ...prices] : []),
    ...(grants.length > 0 ? ['', ...grantLines(grants)] : []),
  ];
}

function nameOf(key: ChargeKey | undefined): string {
  switch (key?.charge?.$case) {
    case 'reservationId':
      return `reservation ${key.charge.value}`;
    case 'purchaseId':
      return `purchase ${key.charge.value}`;
    default:
      return `entry ${key?.charge?.value}`;
  }
}

const STATES: Readonly<Record<number, string>> = {
  [ChargePath_State.RUNNING]: 'running',
  [ChargePath_State.OVERDUE]: 'has expired, and is not swept yet: it expired',
  [ChargePath_State.LATE]: 'has expired; late commits are accepted',
  [ChargePath_State.ENDED]: 'has ended',
};

const GAPS: Readonly<Record<number, string>> = {
  [ChargePath_Gap.BEGINNING]: 'the entry that begins it is missing: run npm run verify',
  [ChargePath_Gap.END]: 'the entry that ended it is missing: run npm run verify',
  [ChargePath_Gap.ERASED]: 'personal data of some steps was erased',
  [ChargePath_Gap.MORE_STEPS]: 'it has more steps: see history',
};

function stateLine({ state, until, gaps, complete }: ChargePath): string {
  if (complete) return 'has ended; complete';
  const when = until
    ? `${state === ChargePath_State.OVERDUE ? ' ' : ' until '}${instant(until)}`
    : '';
  const lacks = gaps.map((gap) => GAPS[gap] ?? memberName(ChargePath_Gap, gap));
  return [`${STATES[state] ?? ''}${when}`, ...lacks].join('; ');
}

const stepLines = (steps: readonly ChargeStep[]): readonly string[] =>
  table(
    [
      { title: '' },
      { title: 'seq', align: 'right' },
      { title: 'at' },
      { title: 'step' },
      { title: 'credits', align: 'right' },
      { title: 'grants' },
      { title: 'remaining', align: 'right' },
      { title: 'reserved', align: 'right' },
      { title: 'by' },
      { title: 'request' },
      { title: 'trace' },
      { title: 'reason' },
    ],
    steps.flatMap(({ entry, found, traceUrl }) =>
      entry
        ? [
            [
              found ? '>' : '',
              entry.seq.toString(),
              instant(entry.at),
              stepName(entry),
              entry.credits.toString(),
              grantsOf(entry),
              entry.remainingAfter.toString(),
              nonZero(entry.reservedAfter),
              who(entry),
              entry.requestId,
              traceUrl || entry.traceId,
              entry.details.get('reason') ?? '',
            ],
          ]
        : [],
    ),
  );

function stepName({ kind, late, final, refundedSeq, expiresAt, usedAt }: Entry): string {
  const words = [memberName(Entry_Kind, kind)];
  if (late) words.push('late');
  if (final === false) words.push('in part');
  if (refundedSeq > 0n) words.push(`of ${refundedSeq}`);
  if (expiresAt) words.push(`until ${instant(expiresAt)}`);
  if (usedAt) words.push(`used at ${instant(usedAt)}`);
  return words.join(' ');
}

/** How many credits moved out of or into each grant: "1: 40, 3: 2, overage: 5, owed: 1". */
function grantsOf({ moves }: Entry): string {
  const credits = new Map<string, bigint>();
  for (const move of moves) {
    const grantId = move.from?.grantId || move.to?.grantId;
    const name = grantId ? grantId.toString() : ofNoGrant([move.from, move.to]);
    if (name) credits.set(name, (credits.get(name) ?? 0n) + move.credits);
  }
  return Array.from(credits, ([name, count]) => `${name}: ${count}`).join(', ');
}

function ofNoGrant(buckets: readonly (Bucket | undefined)[]): string {
  const kinds = buckets.map((bucket) => bucket?.kind);
  if (kinds.includes(Bucket_Kind.OWED)) return 'owed';
  return kinds.includes(Bucket_Kind.OVERAGE) || kinds.includes(Bucket_Kind.OVERAGE_RESERVED)
    ? 'overage'
    : '';
}

/** The price of each step, line by line. */
function priceLines(steps: readonly ChargeStep[]): readonly string[] {
  const rows = steps.flatMap(({ entry }) =>
    (entry?.usages ?? []).map(({ usage, unitCredits, credits }) => [
      entry?.seq.toString() ?? '',
      usage?.operation ?? '',
      inputsOf(usage?.quantities, usage?.attributes),
      usage?.count?.toString() ?? '1',
      unitCredits.toString(),
      credits.toString(),
    ]),
  );
  return rows.length > 0
    ? table(
        [
          { title: 'seq', align: 'right' },
          { title: 'operation' },
          { title: 'quantities' },
          { title: 'count', align: 'right' },
          { title: 'each', align: 'right' },
          { title: 'credits', align: 'right' },
        ],
        rows,
      )
    : [];
}

const inputsOf = (...inputs: readonly (ReadonlyMap<string, unknown> | undefined)[]): string =>
  inputs.flatMap((map) => Array.from(map ?? [], ([name, value]) => `${name}=${value}`)).join(', ');

export const candidateLines = (candidates: readonly ChargeCandidate[]): readonly string[] =>
  table(
    [
      { title: 'account' },
      { title: 'trace' },
      { title: 'at' },
      { title: 'step' },
      { title: 'credits', align: 'right' },
      { title: 'by' },
    ],
    candidates.map(({ key, kind, at, credits, caller }) => [
      key?.accountId ?? '',
      key?.charge?.$case === 'entrySeq'
        ? `${key.accountId}/${key.charge.value}`
        : (key?.charge?.value ?? ''),
      instant(at),
      memberName(Entry_Kind, kind),
      credits.toString(),
      caller,
    ]),
  );
