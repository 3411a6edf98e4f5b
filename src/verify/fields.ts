/** Which fields an entry has: those of its kind, and no others. */
import type { Entry, EntryKind } from '../ledger/entry.ts';
import type { Report } from './findings.ts';
import { CHANGEABLE_TERMS, GRANT_DETAILS } from './grant-terms.ts';
import { returnsForLateUsage } from './late-usage.ts';
import { ENTRY_RULES, type Named } from './moves.ts';
import { PAYMENT_DETAILS, TERMS } from './purchase-terms.ts';

/** What entries without moves, or beside them, may state: by kind. */
const DETAILS: Partial<Record<EntryKind, readonly string[]>> = {
  OPEN_ACCOUNT: ['opened_at', 'time_zone'],
  IMPORT: ['system', 'file', 'period_end'],
  GRANT: [...GRANT_DETAILS, 'period_end'],
  PURCHASE: [...GRANT_DETAILS, ...TERMS, ...PAYMENT_DETAILS, 'paid_at'],
  PAYMENT: ['state', ...PAYMENT_DETAILS],
  UPDATE_ACCOUNT: ['labels', 'time_zone', 'low_balance_levels', 'pause_floor', 'shadow_mode'],
  OFFER_PACK: ['pack_id', 'title', 'credits', 'amount', 'currency', 'validity'],
  WITHDRAW_PACK: ['pack_id'],
  VOID_GRANT: ['void_on_return'],
  SUSPEND_ACCOUNT: ['running'],
  UPDATE_GRANT: CHANGEABLE_TERMS.flatMap((name) => [name, `previous_${name}`]),
  SET_BUDGET: ['budget_id', 'of', 'label', 'cap', 'period', 'enforcement', 'since'],
  REMOVE_BUDGET: ['budget_id'],
  ERASE_ACCOUNT_DATA: ['events'],
  CHECKOUT: TERMS,
  CHECKPOINT: ['archived_seq', 'archived_hash'],
};

/** The same of personal data, labels excepted. */
const PERSONAL: Partial<Record<EntryKind, readonly string[]>> = {
  OPEN_ACCOUNT: ['display_name'],
  UPDATE_ACCOUNT: ['display_name', 'auto_top_up', 'reason'],
  CHECKOUT: ['customer_email', 'customer', 'payment_method'],
  PLAN_CHANGE: ['reason'],
  SET_BUDGET: ['value', 'exceptions', 'reason'],
  REMOVE_BUDGET: ['reason'],
  ERASE_ACCOUNT_DATA: ['reason'],
  GRANT: ['reason'],
  VOID_GRANT: ['reason'],
  SUSPEND_ACCOUNT: ['reason'],
  RESUME_ACCOUNT: ['reason'],
  UPDATE_GRANT: ['reason'],
  REFUND: ['reason'],
  PURCHASE: ['reason'],
  REJECT_PURCHASE: ['reason'],
};

export function checkFields(entry: Entry, report: Report) {
  const { kind } = entry;
  const { names } = ENTRY_RULES[kind];
  const expect = (what: string, expected: boolean, isPresent: boolean) => {
    if (expected !== isPresent)
      report(`a ${kind} ${expected ? 'names' : 'does not name'} a ${what}`);
  };
  const named: Readonly<Record<Named, unknown>> = {
    grant: entry.grantId,
    purchase: entry.purchaseId,
    reservation: entry.reservationId,
    'refunded entry': entry.refundedSeq,
  };
  for (const [what, value] of Object.entries(named))
    if (kind !== 'REFUND' || what !== 'reservation')
      expect(what, names.includes(what as Named) && !isForUsage(what, entry), value !== null);
  expect('rate card', isPriced(kind), entry.rateCardVersion !== null);
  expect('plan moved from', kind === 'PLAN_CHANGE', entry.previousPlanId !== null);
  expect('expiry', kind === 'RESERVE' || kind === 'EXTEND', entry.expiresAt !== null);
  expect('policy', kind === 'RESERVE', entry.overCommitPolicy !== null);
  if (entry.late && kind !== 'COMMIT') report(`a ${kind} is not late`);
  if (entry.final !== null && kind !== 'COMMIT') report(`a ${kind} is not final`);
  checkAsked(entry, report);
  checkUsage(entry, report);
  const expectOnly = (allowed: readonly string[], stated: object) => {
    for (const name of Object.keys(stated))
      if (!allowed.includes(name)) report(`a ${kind} does not state a ${name}`);
  };
  expectOnly(DETAILS[kind] ?? [], entry.details);
  expectOnly(PERSONAL[kind] ?? [], entry.personal);
}

/** What returns for late usage is of no purchase. */
const isForUsage = (what: string, entry: Entry): boolean =>
  what === 'purchase' && returnsForLateUsage(entry);

/** The kinds of entries that can be late usage, or for it. */
const OF_USAGE: ReadonlySet<EntryKind> = new Set(['RESERVE', 'CHARGE', 'COMMIT', 'REINSTATE']);

/** What returns of purchases is issued again, and what returns for late usage had expired. */
function checkUsage(entry: Entry, report: Report) {
  const { kind, usedAt, moves } = entry;
  if (usedAt !== null && !OF_USAGE.has(kind)) report(`a ${kind} is no usage of another time`);
  const isReturn = returnsForLateUsage(entry);
  if (kind === 'REINSTATE' && moves.some(({ from }) => (from === 'expired') !== isReturn))
    report(`a ${kind} of ${isReturn ? 'late usage' : 'a purchase'} does not move that`);
}

/** Whether the entry is about a price or about what one was charged for. */
const isPriced = (kind: EntryKind): boolean =>
  kind === 'CHARGE' || kind === 'REFUND' || ENTRY_RULES[kind].names.includes('reservation');

/** Only where a commit of credits was charged less, it says what it asked for. */
function checkAsked({ kind, asked, credits, usages }: Entry, report: Report) {
  if (asked !== null && (kind !== 'COMMIT' || usages.length > 0 || asked <= credits))
    report(`a ${kind} of ${credits} credits and ${usages.length} usages did not ask for ${asked}`);
}
