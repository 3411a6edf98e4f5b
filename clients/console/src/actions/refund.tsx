/** Gives back part or all of a charge or commit. */
import { useState } from 'preact/hooks';
import { call } from '../api.ts';
import { big, credits, monthIn } from '../format.ts';
import type { Balance, Entry, Grant } from '../messages.ts';
import { Loaded } from '../parts/basics.tsx';
import { isGrant, type Part, partsOf } from '../parts/entry.ts';
import { useRead } from '../use-read.ts';
import { ActionDialog, type Effect } from './action-dialog.tsx';
import { givenBack, limitedAvailable } from './given-back.ts';
import { readCredits } from './read-credits.ts';
import { shareOut } from './refund-shares.ts';

/** `left`: credits of the entry that were not refunded yet. */
export const RefundAction = ({
  entry,
  left,
  onClose,
  onDone,
}: {
  readonly entry: Entry;
  readonly left: bigint;
  readonly onClose: () => void;
  readonly onDone: () => void;
}) => {
  const { accountId = '', seq = '' } = entry;
  const [amount, setAmount] = useState(String(left));
  const asked = readCredits(amount);
  const refunded = asked !== null && asked <= left ? asked : null;
  const read = useRead(`refund ${accountId} ${seq}`, (signal) => readState(entry, signal));
  const shares = shareOut(entry, left, refunded ?? 0n);
  const preview = read.data && previewOf(entry, shares, read.data);
  return (
    <ActionDialog
      onClose={onClose}
      onDone={onDone}
      action={{
        title: `Refund entry ${seq} of ${accountId}`,
        verb: refunded === null ? 'Refund' : `Refund ${credits(refunded)}`,
        content: amount,
        effects:
          refunded === null || !preview
            ? null
            : [
                ...preview.effects,
                { name: 'Of the entry to refund', before: left, after: left - refunded },
              ],
        notes: [
          ...(shares.length > 0 ? [`Back to ${shares.map(shareText).join(', ')}.`] : []),
          ...(preview?.notes ?? []),
        ],
        reasonIsKept: 'It is stored on the entry, with your name.',
        act: (requestId, reason) =>
          call('Refund', { accountId, requestId, seq, credits: String(refunded ?? 0n), reason }),
        said: ({ refunded: given, entrySeq, balance: after }) =>
          `Refunded ${credits(given)} credits, entry ${entrySeq}. ${credits(after?.available)} are available now.`,
      }}
    >
      <Loaded read={read} lines={1}>
        {() => null}
      </Loaded>
      <label class="field">
        Credits, at most {credits(left)}
        <input
          required
          inputMode="numeric"
          autocomplete="off"
          value={amount}
          aria-invalid={refunded === null}
          onInput={(event) => setAmount(event.currentTarget.value)}
        />
        {refunded === null && (
          <span class="field-note">A whole number from 1 to {credits(left)}.</span>
        )}
      </label>
    </ActionDialog>
  );
};

const shareText = ({ source, credits: share }: Part): string =>
  `${isGrant(source) ? `grant #${source}` : source}: ${credits(share)}`;

type State = {
  readonly balance: Balance;
  readonly timeZone: string;
  readonly grants: readonly Grant[];
  /** Whether refunded credits of an expired grant come back as a new one. Null: it is not known. */
  readonly grantsAgain: boolean | null;
};

async function readState(entry: Entry, signal: AbortSignal): Promise<State> {
  const { accountId = '' } = entry;
  const [{ balance = {}, timeZone = 'UTC' }, grants, grantsAgain] = await Promise.all([
    call('GetBalance', { accountId }, signal),
    readGrants(entry, signal),
    readGrantsAgain(accountId, signal).catch(() => null),
  ]);
  return { balance, grants, grantsAgain, timeZone };
}

/** Those that paid. They are listed newest first, and there can be many after them. */
async function readGrants(entry: Entry, signal: AbortSignal): Promise<readonly Grant[]> {
  const { accountId = '' } = entry;
  const missing = new Set(
    partsOf(entry)
      .map(({ source }) => source)
      .filter(isGrant),
  );
  const found: Grant[] = [];
  let pageToken = '';
  while (missing.size > 0) {
    const page = await call('ListGrants', { accountId, pageSize: 1_000, pageToken }, signal);
    for (const grant of page.grants ?? [])
      if (missing.delete(grant.grantId ?? '')) found.push(grant);
    pageToken = page.nextPageToken ?? '';
    if (pageToken === '') break;
  }
  return found;
}

async function readGrantsAgain(accountId: string, signal: AbortSignal): Promise<boolean> {
  const { account } = await call('GetAccount', { accountId }, signal);
  const { plan } = await call('GetPlan', { planId: account?.planId ?? '' }, signal);
  return plan?.terms?.refundExpired === 'REFUND_EXPIRED_NEW_GRANT';
}

function previewOf(
  { at }: Entry,
  shares: readonly Part[],
  { balance, grants, grantsAgain, timeZone }: State,
): { readonly effects: readonly Effect[]; readonly notes: readonly string[] } {
  const back = givenBack(shares, {
    grants,
    now: Date.parse(balance.asOf ?? ''),
    grantsAgain: grantsAgain === true,
  });
  const { general, limited, overage, owed, expired, voided, grantedAgain } = back;
  const stillOwed = big(balance.owed);
  const cancelled = owed < stillOwed ? owed : stillOwed;
  const paid = owed - cancelled;
  const effect = (name: string, before: bigint, by: bigint) => ({
    name,
    before,
    after: before + by,
  });
  const month = (text: string | undefined) => monthIn(timeZone, Date.parse(text ?? ''));
  const isOfThisMonth = month(at) === month(balance.asOf);
  const restOf = (count: bigint, what: string) =>
    count > 0n ? [`${credits(count)} of them ${what}`] : [];
  return {
    effects: [
      effect('Available', big(balance.available), general + paid),
      ...(limited > 0n
        ? [effect('Available to some operations', limitedAvailable(balance), limited)]
        : []),
      effect('Remaining', big(balance.remaining), general + limited + paid),
      ...(cancelled > 0n ? [effect('Owed', stillOwed, -cancelled)] : []),
      ...(overage > 0n && isOfThisMonth
        ? [effect('Overage this month', big(balance.overage), -overage)]
        : []),
    ],
    notes: [
      ...restOf(paid, 'were owed and have been paid since: they come back as a new grant.'),
      ...restOf(grantedAgain, 'are of grants that have expired: they come back as a new grant.'),
      ...restOf(
        expired,
        grantsAgain === null
          ? 'are of grants that have expired: they stay expired, or come back as a new grant if the plan says so.'
          : 'are of grants that have expired: they stay expired.',
      ),
      ...restOf(voided, 'are voided as they come back.'),
      ...(overage > 0n && !isOfThisMonth
        ? restOf(
            overage,
            'are overage of an earlier month: the statement of this month adjusts them.',
          )
        : []),
    ],
  };
}
