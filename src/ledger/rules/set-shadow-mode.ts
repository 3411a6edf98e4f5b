/** SetShadowMode: from now on what an account uses is only recorded; or it is charged again. */
import { isInShadowMode } from '../account.ts';
import type { Book } from '../book.ts';
import type { Origin } from '../entry.ts';
import { accountClosed } from '../failures.ts';

export type SetShadowMode = {
  readonly kind: 'SetShadowMode';
  readonly enabled: boolean;
  /** Why, for people. */
  readonly reason: string;
};

export function setShadowMode(book: Book, { enabled, reason }: SetShadowMode, origin: Origin) {
  const { account, now } = book;
  if (enabled && account.state === 'CLOSED') return accountClosed(book);
  if (enabled === isInShadowMode(account)) return { kind: 'SetShadowMode', entrySeq: 0n } as const;
  const { caller } = origin;
  const before = account.shadow?.since ?? null;
  // What is used is known by when its shadow mode began, so no two begin at the same instant.
  const began = before === null ? now : Math.max(now, before + 1);
  const since = enabled ? began : (before ?? now);
  account.shadow = { since, until: enabled ? null : Math.max(now, since), caller };
  book.changes.settings = true;
  const details = { shadow_mode: enabled ? 'on' : 'off' };
  const entry = book.post({ kind: 'UPDATE_ACCOUNT', details, personal: { reason } }, origin);
  return { kind: 'SetShadowMode', entrySeq: entry.seq } as const;
}
