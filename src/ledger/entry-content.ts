/**
 * The parts of an entry that have no column of their own, as one JSON text that is stored and hashed. Its
 * names are short, because every entry has them; the view `history` of docs/schema.sql spells them.
 *
 * | member | content |
 * | --- | --- |
 * | m | moves: [[buckets, grant, credits], …]; two letters name the buckets, grant 0 is none |
 * | u | usages: [[operation, count, unit credits, quantities, attributes, billable], …]; from the end, defaults are left out |
 * | t | when its usage counts, in epoch milliseconds |
 * | l | true: late |
 * | f | false: a commit that is not final |
 * | a | asked |
 * | w | what the account owes after it |
 * | x | expiry, in epoch milliseconds |
 * | p | over-commit policy of a RESERVE, if it is not REJECT |
 * | d | details |
 * | c | certificate |
 * | e | events that it covers: [seq of the last, hash] |
 *
 * Members that are empty are left out. Integers above 2^53 are strings.
 */
import { canonicalJson, integerJson, type JsonInteger } from '../canonical.ts';
import type { PricedUsage } from '../pricing/price.ts';
import type { BucketKind, Entry, EntryKind, Labels, Move } from './entry.ts';
import type { OverCommitPolicy } from './reservation.ts';

export type EntryContent = Pick<
  Entry,
  | 'moves'
  | 'usages'
  | 'usedAt'
  | 'late'
  | 'asked'
  | 'owedAfter'
  | 'expiresAt'
  | 'overCommitPolicy'
  | 'details'
  | 'certificate'
  | 'sealedEvents'
> & {
  /** Null on entries other than commits. */
  readonly final: boolean | null;
};

const LETTERS: Readonly<Record<BucketKind, string>> = {
  issued: 'i',
  available: 'a',
  reserved: 'r',
  overage: 'o',
  overage_reserved: 'h',
  owed: 'w',
  consumed: 'c',
  expired: 'x',
  voided: 'v',
};
const BUCKETS: ReadonlyMap<string, BucketKind> = new Map(
  Object.entries(LETTERS).map(([bucket, letter]) => [letter, bucket as BucketKind]),
);

/** Built as text, not by canonicalJson: it is on the path of every request. */
export function contentJson(entry: EntryContent): string {
  let text = '';
  const add = (member: string, json: string) => {
    text += `${text && ','}"${member}":${json}`;
  };
  if (entry.moves.length > 0) add('m', movesJson(entry.moves));
  if (entry.usages.length > 0) add('u', usagesJson(entry.usages));
  if (entry.usedAt !== null) add('t', `${entry.usedAt}`);
  if (entry.late) add('l', 'true');
  if (entry.final === false) add('f', 'false');
  if (entry.asked !== null) add('a', integerJson(entry.asked));
  if (entry.owedAfter !== 0n) add('w', integerJson(entry.owedAfter));
  if (entry.expiresAt !== null) add('x', `${entry.expiresAt}`);
  if (entry.overCommitPolicy !== null && entry.overCommitPolicy !== 'REJECT')
    add('p', JSON.stringify(entry.overCommitPolicy));
  if (Object.keys(entry.details).length > 0) add('d', canonicalJson(entry.details));
  if (entry.certificate) add('c', JSON.stringify(entry.certificate));
  const { sealedEvents } = entry;
  if (sealedEvents) add('e', `[${integerJson(sealedEvents.upTo)},"${sealedEvents.hash}"]`);
  return `{${text}}`;
}

function movesJson(moves: readonly Move[]): string {
  let text = '';
  for (const { from, to, grantId, credits } of moves)
    text += `${text && ','}["${LETTERS[from]}${LETTERS[to]}",${integerJson(grantId)},${integerJson(credits)}]`;
  return `[${text}]`;
}

/** Equal usages at equal prices have equal texts. */
export function usagesJson(usages: readonly PricedUsage[]): string {
  let text = '';
  for (const { usage, unitCredits, billable } of usages) {
    const { operation, count, quantities, attributes } = usage;
    text += `${text && ','}[${JSON.stringify(operation)},${integerJson(count)},${integerJson(unitCredits)}`;
    if (quantities.size > 0 || attributes.size > 0 || !billable)
      text += `,${canonicalJson(quantities)}`;
    if (attributes.size > 0 || !billable) text += `,${canonicalJson(attributes)}`;
    text += billable ? ']' : ',false]';
  }
  return `[${text}]`;
}

type StoredMove = readonly [buckets: string, grantId: JsonInteger, credits: JsonInteger];
type StoredUsage = readonly [
  operation: string,
  count: JsonInteger,
  unitCredits: JsonInteger,
  quantities?: Readonly<Record<string, JsonInteger>>,
  attributes?: Readonly<Record<string, string>>,
  billable?: false,
];
export type StoredContent = {
  readonly m?: readonly StoredMove[];
  readonly u?: readonly StoredUsage[];
  readonly t?: number;
  readonly l?: true;
  readonly f?: false;
  readonly a?: JsonInteger;
  readonly w?: JsonInteger;
  readonly x?: number;
  readonly p?: OverCommitPolicy;
  readonly d?: Labels;
  readonly c?: string;
  readonly e?: readonly [upTo: JsonInteger, hash: string];
};

const NOTHING: readonly never[] = [];
const NO_DETAILS: Labels = {};

/** Reads what `contentJson` wrote of an entry of this kind. Throws if it is anything else. */
export function readContent(stored: StoredContent, kind: EntryKind): EntryContent {
  const { m, u, t, l, f, a, w, x, p, d, c, e } = stored;
  return {
    moves: m ? toMoves(m) : NOTHING,
    usages: u ? toUsages(u) : NOTHING,
    usedAt: t ?? null,
    late: l ?? false,
    final: f ?? (kind === 'COMMIT' ? true : null),
    asked: a === undefined ? null : BigInt(a),
    owedAfter: w === undefined ? 0n : BigInt(w),
    expiresAt: x ?? null,
    overCommitPolicy: p ?? (kind === 'RESERVE' ? 'REJECT' : null),
    details: d ?? NO_DETAILS,
    certificate: c ?? '',
    sealedEvents: e ? { upTo: BigInt(e[0]), hash: e[1] } : null,
  };
}

export const toMoves = (stored: readonly StoredMove[]): readonly Move[] =>
  stored.map(([buckets, grantId, credits]) => ({
    from: bucketOf(buckets[0]),
    to: bucketOf(buckets[1]),
    grantId: BigInt(grantId),
    credits: BigInt(credits),
  }));

function bucketOf(letter: string | undefined): BucketKind {
  const bucket = BUCKETS.get(letter ?? '');
  if (!bucket) throw new Error(`there is no bucket ${letter}`);
  return bucket;
}

export const toUsages = (stored: readonly StoredUsage[]): readonly PricedUsage[] =>
  stored.map(
    ([operation, count, unitCredits, quantities = {}, attributes = {}, billable = true]) => ({
      usage: {
        operation,
        count: BigInt(count),
        quantities: new Map(
          Object.entries(quantities).map(([name, value]) => [name, BigInt(value)]),
        ),
        attributes: new Map(Object.entries(attributes)),
      },
      unitCredits: BigInt(unitCredits),
      credits: BigInt(unitCredits) * BigInt(count),
      billable,
      components: [],
    }),
  );
