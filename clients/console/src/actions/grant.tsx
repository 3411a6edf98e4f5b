/** Grants credits by hand. */
import { useState } from 'preact/hooks';
import { call } from '../api.ts';
import { big, credits, instant } from '../format.ts';
import type { Account, GrantCreditsRequest } from '../messages.ts';
import { Loaded } from '../parts/basics.tsx';
import { serviceNow } from '../state.ts';
import { useRead } from '../use-read.ts';
import { ActionDialog } from './action-dialog.tsx';
import { readCredits } from './read-credits.ts';

const CATEGORIES = [
  ['CATEGORY_ADJUSTMENT', 'adjustment: a correction'],
  ['CATEGORY_PROMOTIONAL', 'promotional: to win or keep a customer'],
  ['CATEGORY_PAID', 'paid elsewhere'],
] as const;

const YEAR_10000 = Date.UTC(10_000, 0);

export const GrantAction = ({
  account,
  onClose,
  onDone,
}: {
  readonly account: Account;
  readonly onClose: () => void;
  readonly onDone: () => void;
}) => {
  const [amount, setAmount] = useState('');
  const [category, setCategory] =
    useState<NonNullable<GrantCreditsRequest['category']>>('CATEGORY_ADJUSTMENT');
  const [expires, setExpires] = useState('');
  const [reference, setReference] = useState('');
  const granted = readCredits(amount);
  const { accountId = '' } = account;
  // Read when the dialog opens: the page may have been open for hours.
  const read = useRead(`grant ${accountId}`, (signal) => call('GetBalance', { accountId }, signal));
  const balance = read.data?.balance;
  // The end of the day that was chosen.
  const expiresAt = expires === '' ? null : new Date(`${expires}T23:59:59.999Z`);
  const problem = expiresAt && problemOf(expiresAt.getTime());
  const content = { amount, category, expires, reference };
  const add = (before: string | undefined) => ({
    before: big(before),
    after: big(before) + (granted ?? 0n),
  });
  return (
    <ActionDialog
      onClose={onClose}
      onDone={onDone}
      action={{
        title: `Grant credits to ${accountId}`,
        verb: granted === null ? 'Grant' : `Grant ${credits(granted)}`,
        content,
        effects:
          granted === null || !balance || problem !== null
            ? null
            : [
                { name: 'Available', ...add(balance.available) },
                { name: 'Remaining', ...add(balance.remaining) },
              ],
        notes:
          problem !== null
            ? [problem]
            : [
                expiresAt
                  ? `What is left of them expires ${instant(expiresAt.getTime(), 'utc')} UTC.`
                  : 'They never expire.',
              ],
        reasonIsKept: 'It is stored on the entry, with your name.',
        act: (requestId, reason) =>
          call('GrantCredits', {
            accountId: accountId,
            requestId,
            credits: String(granted ?? 0n),
            category,
            reference,
            reason,
            ...(expiresAt && { expiresAt: expiresAt.toISOString() }),
          }),
        said: ({ grant, entrySeq }) =>
          `Granted ${credits(grant?.amount)} credits as grant #${grant?.grantId}, entry ${entrySeq}.`,
      }}
    >
      <Loaded read={read} lines={1}>
        {() => null}
      </Loaded>
      <label class="field">
        Credits
        <input
          required
          inputMode="numeric"
          autocomplete="off"
          value={amount}
          onInput={(event) => setAmount(event.currentTarget.value)}
          aria-invalid={amount !== '' && granted === null}
        />
        {amount !== '' && granted === null && (
          <span class="field-note">A whole number, 1 or more.</span>
        )}
      </label>
      <label class="field">
        Category
        <select
          value={category}
          onChange={(event) => setCategory(event.currentTarget.value as typeof category)}
        >
          {CATEGORIES.map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      </label>
      <div class="field-row">
        <label class="field">
          Last day, in UTC
          <input
            type="date"
            value={expires}
            onInput={(event) => setExpires(event.currentTarget.value)}
          />
          <span class="field-note">Empty: they never expire.</span>
        </label>
        <label class="field">
          Reference
          <input
            maxLength={256}
            value={reference}
            onInput={(event) => setReference(event.currentTarget.value)}
          />
          <span class="field-note">Such as a ticket; may be empty.</span>
        </label>
      </div>
    </ActionDialog>
  );
};

/** Null: grants can expire then. A browser takes years of six digits, which are no instant. */
function problemOf(expiresAt: number): string | null {
  if (!(expiresAt < YEAR_10000)) return 'The expiry must be before the year 10000.';
  return expiresAt <= serviceNow() ? 'The expiry must be in the future.' : null;
}
