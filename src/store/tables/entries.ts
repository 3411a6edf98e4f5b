/** The table of entries. Their JSON columns are written as src/ledger/hash-chain.ts has hashed them. */
import type { BucketKind, EntryKind, Labels, Move } from '../../ledger/entry.ts';
import type { SealedEntry } from '../../ledger/hash-chain.ts';
import {
  bigint,
  boolean,
  bytea,
  instant,
  int,
  type JsonInteger,
  json,
  text,
  uuid,
} from '../../pg/column.ts';
import { defineTable } from '../../pg/table.ts';
import type { PricedUsage } from '../../pricing/price.ts';

export type StoredMove = readonly [
  from: BucketKind,
  to: BucketKind,
  grantId: JsonInteger,
  credits: JsonInteger,
];
export type StoredUsage = {
  readonly operation: string;
  readonly count: JsonInteger;
  readonly quantities: Readonly<Record<string, JsonInteger>>;
  readonly attributes: Readonly<Record<string, string>>;
  readonly unit_credits: JsonInteger;
  readonly credits: JsonInteger;
  readonly billable: boolean;
};

export const entries = defineTable({
  name: 'entries',
  comment:
    'The history of accounts: immutable rows in a hash chain; credits move from bucket to bucket.',
  columns: {
    accountId: text('key'),
    seq: bigint('key', '1, 2, 3 … within the account, without gaps'),
    kind: text<EntryKind>('inserted'),
    at: instant('inserted', 'never before the entry before it'),
    moves: json<readonly StoredMove[]>('inserted', '[[from, to, grant, credits], …]; grant 0: none')
      .fromText((entry: SealedEntry) => entry.movesJson)
      .as(toMoves),
    credits: bigint('inserted', 'what it is about: granted, reserved, committed, …'),
    remainingAfter: bigint('inserted', 'of the account, as are the next two'),
    reservedAfter: bigint('inserted'),
    overageAfter: bigint('inserted'),
    reservationId: uuid('inserted').nullable(),
    grantId: bigint('inserted').nullable(),
    refundedSeq: bigint(
      'inserted',
      'of a REFUND: the commit or charge that it gives back',
    ).nullable(),
    usages: json<readonly StoredUsage[]>('inserted', 'as they were priced')
      .fromText((entry: SealedEntry) => entry.usagesJson)
      .as(toUsages),
    planId: text(
      'inserted',
      'whose rate card priced it; of a PLAN_CHANGE: the new plan',
    ).nullable(),
    previousPlanId: text('inserted', 'of a PLAN_CHANGE').nullable(),
    rateCardVersion: int('inserted').nullable(),
    late: boolean('inserted', 'a commit after expiry, within the grace period'),
    final: boolean('inserted', 'of a COMMIT: it ended the reservation').nullable(),
    caller: text('inserted', '"scrip" for what the service does by itself'),
    requestId: text('inserted', 'empty for what the service does by itself'),
    reference: text('inserted', "the caller's name for the job"),
    labels: json<Labels>('inserted', '{"name": "value"}').fromText(
      (entry: SealedEntry) => entry.labelsJson,
    ),
    traceId: text('inserted', 'W3C trace id, hexadecimal'),
    spanId: text('inserted'),
    hash: bytea('inserted', 'SHA-256 over the row and the hash of the entry before it'),
  },
  checks: {
    entries_seq_check: 'seq > 0',
    entries_credits_check: 'credits >= 0',
    entries_after_check: ['remaining_after >= 0', 'reserved_after >= 0', 'overage_after >= 0'],
    entries_kind_check:
      "kind in ('GRANT', 'GRANT_EFFECTIVE', 'GRANT_EXPIRED', 'PURCHASE', 'RESERVE', 'COMMIT', " +
      "'RELEASE', 'EXPIRE', 'CHARGE', 'REFUND', 'RAISE', 'CLAW_BACK', 'REINSTATE', 'PLAN_CHANGE')",
    entries_plan_change_check: [
      "(kind = 'PLAN_CHANGE') = (previous_plan_id is not null)",
      "(kind <> 'PLAN_CHANGE' or plan_id is not null)",
    ],
  },
  privileges: 'select, insert',
});

export function toMoves(stored: readonly StoredMove[]): readonly Move[] {
  return stored.map(([from, to, grantId, credits]) => ({
    from,
    to,
    grantId: BigInt(grantId),
    credits: BigInt(credits),
  }));
}

export function toUsages(stored: readonly StoredUsage[]): readonly PricedUsage[] {
  return stored.map((usage) => ({
    usage: {
      operation: usage.operation,
      count: BigInt(usage.count),
      quantities: new Map(
        Object.entries(usage.quantities).map(([name, value]) => [name, BigInt(value)]),
      ),
      attributes: new Map(Object.entries(usage.attributes)),
    },
    unitCredits: BigInt(usage.unit_credits),
    credits: BigInt(usage.credits),
    billable: usage.billable,
    components: [],
  }));
}
