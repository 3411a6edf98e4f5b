/** What operators correct: voided credits and changed terms of grants, and accounts that are suspended. */
import { Entry_Kind, Grant_State } from '../../../src/gen/billing/v1/ledger.ts';
import { OPERATIONS } from '../plans.ts';
import { closed, type Deciding } from './deciding.ts';
import { accountOf, balanceOf, grantOf } from './messages.ts';
import { Refusal } from './refusal.ts';
import type { First, RequestOf } from './requests.ts';
import { type AccountState, type GrantState, stateOf } from './state.ts';

const RETURNED_VOID = 2;

export function voidGrant(
  state: AccountState,
  request: RequestOf<'voidGrant'>,
  { now, author }: Deciding,
): First<'voidGrant'> | Refusal {
  const { grantId, reason } = request;
  const grant = state.grants.get(grantId);
  if (!grant) return new Refusal('GRANT_NOT_FOUND', { grant_id: grantId });
  const is = stateOf(grant, now);
  const waits = is === Grant_State.SCHEDULED;
  if (!waits && is !== Grant_State.OPEN) return new Refusal('GRANT_ENDED', { grant_id: grantId });
  const free = waits ? grant.amount - grant.voided : grant.remaining - grant.reserved;
  const held = grant.reserved > grant.toVoid ? grant.reserved - grant.toVoid : 0n;
  const allowed = request.returned === RETURNED_VOID ? free + held : free;
  const asked = request.credits ?? allowed;
  if (asked > allowed || asked === 0n) return new Refusal('EXCEEDS_GRANT', { allowed });
  const voided = asked < free ? asked : free;
  const later = asked - voided;
  const gone = waits ? voided : 0n;
  state.grants.set(grantId, {
    ...grant,
    voided: grant.voided + gone,
    toVoid: grant.toVoid + later,
    state: waits && voided === free ? Grant_State.VOIDED : grant.state,
  });
  const details = new Map([['reason', reason]]);
  if (later > 0n) details.set('void_on_return', `${later}`);
  const hasMove = !waits && voided > 0n;
  const move = { from: 'available', to: 'voided', grantId, credits: voided } as const;
  const entry = state.post(
    Entry_Kind.VOID_GRANT,
    now,
    { moves: hasMove ? [move] : [], credits: voided, grantId, details },
    author,
  );
  state.emit('grant.voided', {
    grant_id: `${grantId}`,
    credits: `${voided}`,
    void_on_return: `${later}`,
    category: nameOfCategory(grant.category),
  });
  return {
    grant: grantOf(state.grant(grantId), now),
    voided,
    voidOnReturn: later,
    balance: balanceOf(state, now),
    entrySeq: entry.seq,
  };
}

const nameOfCategory = (category: number): string =>
  ['', 'PAID', 'PROMOTIONAL', 'ALLOWANCE', 'ADJUSTMENT'][category] ?? '';

const dateOf = ({ expiresAt }: GrantState): Date | undefined =>
  expiresAt === null ? undefined : new Date(expiresAt);

const termsOf = (grant: GrantState): Readonly<Record<string, string>> => ({
  priority: `${grant.priority}`,
  expires_at: grant.expiresAt === null ? 'never' : new Date(grant.expiresAt).toISOString(),
  operations: grant.operations.join(','),
});

export function updateGrant(
  state: AccountState,
  request: RequestOf<'updateGrant'>,
  { now, author }: Deciding,
): First<'updateGrant'> | Refusal {
  const { grantId, priority, expiry, operations, reason } = request;
  if (!state.isOpen) return closed(state);
  const grant = state.grants.get(grantId);
  if (!grant) return new Refusal('GRANT_NOT_FOUND', { grant_id: grantId });
  const is = stateOf(grant, now);
  if (is !== Grant_State.SCHEDULED && is !== Grant_State.OPEN)
    return new Refusal('GRANT_ENDED', { grant_id: grantId });
  const ends = expiry?.expiresAt?.getTime();
  if (ends !== undefined && (ends <= now || ends <= grant.effectiveAt))
    return new Refusal('INVALID_FIELD');
  const wanted = operations && (operations.onlyFor?.operations ?? []).toSorted();
  const unknown = wanted?.find((name) => !OPERATIONS[name]);
  if (unknown) return new Refusal('UNKNOWN_OPERATION', { operation: unknown });
  const pays = (names: readonly string[], name: string) =>
    names.length === 0 || names.includes(name);
  const loses = Object.keys(OPERATIONS).some(
    (name) => wanted && pays(grant.operations, name) && !pays(wanted, name),
  );
  const losesAny = wanted && wanted.length > 0 && grant.operations.length === 0;
  if (grant.reserved > 0n && (loses || losesAny))
    return new Refusal('GRANT_RESERVED', { grant_id: grantId, reserved: grant.reserved });
  const changed = {
    ...grant,
    priority: priority ?? grant.priority,
    expiresAt: expiry ? (ends ?? null) : grant.expiresAt,
    operations: wanted ?? grant.operations,
  };
  const [before, after] = [termsOf(grant), termsOf(changed)];
  const names = Object.keys(after).filter((name) => after[name] !== before[name]);
  if (names.length === 0)
    return { grant: grantOf(grant, now), balance: balanceOf(state, now), entrySeq: 0n };
  state.grants.set(grantId, changed);
  // A purchase shows when its credits expire.
  for (const purchase of state.purchases.values())
    if (purchase.grantId === grantId)
      state.purchases.set(purchase.purchaseId, { ...purchase, expiresAt: dateOf(changed) });
  const details = new Map([['reason', reason]]);
  for (const name of names) {
    details.set(name, after[name] ?? '');
    details.set(`previous_${name}`, before[name] ?? '');
  }
  const entry = state.post(Entry_Kind.UPDATE_GRANT, now, { grantId, details }, author);
  const category = nameOfCategory(grant.category);
  state.emit('grant.updated', { grant_id: `${grantId}`, ...after, category });
  return { grant: grantOf(changed, now), balance: balanceOf(state, now), entrySeq: entry.seq };
}

const RUNNING_STOP = 2;

export function suspendAccount(
  state: AccountState,
  { running, reason }: RequestOf<'suspendAccount'>,
  { now, author }: Deciding,
): First<'suspendAccount'> | Refusal {
  if (!state.isOpen) return closed(state);
  const stops = running === RUNNING_STOP;
  let entrySeq = 0n;
  if (state.suspended?.stops !== stops) {
    const { caller } = author;
    state.suspended = { since: state.suspended?.since ?? now, reason, caller, stops };
    const means = stops ? 'STOP' : 'CONTINUE';
    const details = new Map([
      ['reason', reason],
      ['running', means],
    ]);
    entrySeq = state.post(Entry_Kind.SUSPEND_ACCOUNT, now, { details }, author).seq;
    state.emit('account.suspended', { running: means, caller });
  }
  return { account: accountOf(state), entrySeq };
}

export function resumeAccount(
  state: AccountState,
  { reason }: RequestOf<'resumeAccount'>,
  { now, author }: Deciding,
): First<'resumeAccount'> {
  let entrySeq = 0n;
  if (state.suspended) {
    state.suspended = null;
    const details = new Map([['reason', reason]]);
    entrySeq = state.post(Entry_Kind.RESUME_ACCOUNT, now, { details }, author).seq;
    state.emit('account.resumed', { caller: author.caller });
  }
  return { account: accountOf(state), entrySeq };
}
