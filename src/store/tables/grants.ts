/** The table of grants. */
import {
  ALL_OPERATIONS,
  type Grant,
  type GrantCategory,
  type GrantSource,
  type GrantState,
  isOpen,
} from '../../ledger/grant.ts';
import { bigint, boolean, instant, int, json, text } from '../../pg/column.ts';
import { defineTable } from '../../pg/table.ts';

export const grants = defineTable({
  name: 'grants',
  comment: 'Allocations of credits to accounts.',
  columns: {
    accountId: text('key'),
    grantId: bigint('key', '1, 2, 3 … within the account'),
    amount: bigint('inserted'),
    remaining: bigint('updated', 'not spent yet'),
    reserved: bigint('updated', 'of remaining: set aside by active reservations'),
    voided: bigint('settings', 'an operator voided so many; null: 0').nullIs(0n),
    voidOnReturn: bigint('settings', 'voided as they come back; null: 0').nullIs(0n),
    expired: bigint('settings', 'of an allowance: what late usage can bring back; null: 0').nullIs(
      0n,
    ),
    category: text<GrantCategory>('inserted'),
    priority: int('settings', 'lower burns first'),
    effectiveAt: instant('inserted'),
    expiresAt: instant('settings', 'null: never').nullable(),
    source: text<GrantSource>('inserted', 'WELCOME, ALLOWANCE, PURCHASE, OPERATOR or REFUND'),
    sourceReference: text('inserted'),
    operations: json<readonly string[]>('settings', 'that it pays for, ordered; null: all')
      .nullable()
      .as(
        (stored) => stored ?? ALL_OPERATIONS,
        (operations) => (operations.length > 0 ? operations : null),
      ),
    noticeAt: instant('updated', 'notice of its expiry is due; null: never, or given').nullable(),
    stranded: boolean('updated', 'limited to operations that the plan has no price for'),
    state: text<GrantState>('updated', 'as of its last change'),
    open: boolean('updated', 'it can still change; a unit of work loads these').computed(isOpen),
    paid: boolean('inserted', 'for the burn order').computed(
      ({ category }: Grant) => category === 'PAID',
    ),
    createdAt: instant('inserted'),
  },
  checks: {
    grants_amount_check: 'amount > 0',
    grants_remaining_check: ['remaining >= 0', 'remaining <= amount'],
    grants_reserved_check: ['reserved >= 0', 'reserved <= remaining'],
    grants_voided_check: ['voided > 0', 'voided <= amount - remaining', 'void_on_return > 0'],
    grants_expired_check: ['expired > 0', 'expired <= amount'],
    grants_priority_check: ['priority >= 0', 'priority <= 100'],
    grants_expiry_check: 'expires_at > effective_at',
    grants_category_check: "category in ('PAID', 'PROMOTIONAL', 'ALLOWANCE', 'ADJUSTMENT')",
    grants_state_check: "state in ('SCHEDULED', 'OPEN', 'SPENT', 'EXPIRED', 'VOIDED')",
    grants_operations_check: 'jsonb_array_length(operations) > 0',
    grants_paid_check: "(category = 'PAID') = paid",
    grants_open_check: "(state = 'SCHEDULED' or remaining > 0) = open",
  },
  indexes: {
    grants_in_burn_order: {
      on: ['accountId', 'priority', 'expiresAt', 'paid', 'grantId'],
      where: 'open',
    },
    grants_by_expiry: { on: ['accountId', 'expiresAt'], where: 'open' },
    grants_to_return: { on: ['accountId', 'expiresAt'], where: 'expired is not null' },
  },
  privileges: 'select, insert, update',
  unanalyzed: ['operations'],
  fillfactor: 70,
});
