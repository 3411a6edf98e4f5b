/** Voids unspent credits of a grant: all of them, or a part. */
import { useState } from 'preact/hooks';
import { call } from '../api.ts';
import { big, credits } from '../format.ts';
import type { Balance, Grant } from '../messages.ts';
import { Loaded } from '../parts/basics.tsx';
import { voidableOf } from '../parts/voidable.ts';
import { useRead } from '../use-read.ts';
import { ActionDialog, type Effect } from './action-dialog.tsx';
import { readCredits } from './read-credits.ts';

type Returned = 'RETURNED_KEEP' | 'RETURNED_VOID';
type HowMany = 'all' | 'part';

type Now = {
  readonly balance: Balance;
  /** Null: it has no credits left. */
  readonly grant: Grant | null;
};

/** Read when the dialog opens: jobs may have spent of the grant since the page was loaded. */
async function readNow(accountId: string, grant: Grant, signal: AbortSignal): Promise<Now> {
  const answer = await call('GetBalance', { accountId, includeGrants: true }, signal);
  const { balance = {}, grants = [] } = answer;
  // One that is not effective yet is no part of the balance: only another void changes it.
  if (grant.state === 'STATE_SCHEDULED') return { balance, grant };
  return { balance, grant: grants.find(({ grantId }) => grantId === grant.grantId) ?? null };
}

export const VoidAction = ({
  accountId,
  grant,
  onClose,
  onDone,
}: {
  readonly accountId: string;
  readonly grant: Grant;
  readonly onClose: () => void;
  readonly onDone: () => void;
}) => {
  const { grantId = '' } = grant;
  const [howMany, setHowMany] = useState<HowMany>('all');
  const [amount, setAmount] = useState('');
  const [returned, setReturned] = useState<Returned>('RETURNED_KEEP');
  const read = useRead(`void ${accountId} ${grantId}`, (signal) =>
    readNow(accountId, grant, signal),
  );
  const now = read.data;
  const { now: free, held } = voidableOf(now?.grant ?? {});
  const most = returned === 'RETURNED_VOID' ? free + held : free;
  const asked = howMany === 'all' ? most : readCredits(amount);
  const isPossible = asked !== null && asked > 0n && asked <= most;
  const voided = isPossible ? asked : 0n;
  const atOnce = voided < free ? voided : free;
  return (
    <ActionDialog
      onClose={onClose}
      onDone={onDone}
      action={{
        title: `Void credits of grant #${grantId} of ${accountId}`,
        verb: isPossible ? `Void ${credits(voided)}` : 'Void',
        content: { howMany, amount, returned },
        effects: now?.grant && isPossible ? effectsOf(now.balance, now.grant, atOnce) : null,
        notes: now ? notesOf(now.grant, held, returned, voided - atOnce, isPossible) : [],
        reasonIsKept: 'It is stored on the entry, with your name.',
        act: (requestId, reason) =>
          call('VoidGrant', {
            accountId,
            requestId,
            grantId,
            ...(howMany === 'all' ? { all: true } : { credits: String(voided) }),
            returned,
            reason,
          }).catch((error) => {
            // Jobs may have spent of it meanwhile.
            read.reload();
            throw error;
          }),
        said: ({ voided: gone, voidOnReturn, balance, entrySeq }) =>
          [
            `Voided ${credits(gone)} credits of grant #${grantId}, entry ${entrySeq}.`,
            ...(big(voidOnReturn) > 0n
              ? [`${credits(voidOnReturn)} more are voided if jobs give them back.`]
              : []),
            `${credits(balance?.available)} are available now.`,
          ].join(' '),
      }}
    >
      <Loaded read={read} lines={1}>
        {() => null}
      </Loaded>
      <div class="field-row">
        <label class="field">
          How many
          <select
            value={howMany}
            onChange={(event) => setHowMany(event.currentTarget.value as HowMany)}
          >
            <option value="all">all that are left</option>
            <option value="part">a part</option>
          </select>
        </label>
        {howMany === 'part' && (
          <label class="field">
            Credits, at most {credits(most)}
            <input
              required
              inputMode="numeric"
              autocomplete="off"
              value={amount}
              aria-invalid={amount !== '' && !isPossible}
              onInput={(event) => setAmount(event.currentTarget.value)}
            />
            {amount !== '' && !isPossible && (
              <span class="field-note">A whole number from 1 to {credits(most)}.</span>
            )}
          </label>
        )}
      </div>
      {held > 0n && (
        <label class="field">
          What jobs give back
          <select
            value={returned}
            onChange={(event) => setReturned(event.currentTarget.value as Returned)}
          >
            <option value="RETURNED_KEEP">can be spent again</option>
            <option value="RETURNED_VOID">is voided, too</option>
          </select>
          <span class="field-note">Jobs hold {credits(held)} credits of the grant now.</span>
        </label>
      )}
    </ActionDialog>
  );
};

/** A limited grant is no part of what is available for everything. */
function effectsOf(balance: Balance, grant: Grant, atOnce: bigint): readonly Effect[] {
  const less = (name: string, before: bigint) => ({ name, before, after: before - atOnce });
  if (grant.state === 'STATE_SCHEDULED')
    return [less(`To come with grant #${grant.grantId}`, voidableOf(grant).now)];
  const { operations = [] } = grant;
  const own = balance.limited?.find((one) => String(one.operations) === String(operations));
  return [
    own
      ? less(`Available for ${operations.join(', ')}`, big(own.available))
      : less('Available', big(balance.available)),
    less('Remaining', big(balance.remaining)),
    less(`Left of grant #${grant.grantId}`, big(grant.remaining)),
  ];
}

function notesOf(
  grant: Grant | null,
  held: bigint,
  returned: Returned,
  later: bigint,
  isPossible: boolean,
): readonly string[] {
  if (!grant) return ['The grant has no credits left meanwhile.'];
  const notes = ['Voided credits do not come back: to give them again, grant credits.'];
  if (grant.state === 'STATE_SCHEDULED')
    notes.push('The grant is not effective yet: the balance stays as it is.');
  if (held === 0n) return notes;
  if (returned === 'RETURNED_KEEP')
    notes.push(
      `${credits(held)} stay reserved: jobs may spend them, and what they give back can be spent again.`,
    );
  else
    notes.push(
      later === 0n
        ? `${credits(held)} stay reserved: jobs may spend them. None of them is voided, because enough is free.`
        : `${credits(held)} stay reserved: jobs may spend them. Of what they give back, up to ${credits(later)} are voided.`,
    );
  if (!isPossible && returned === 'RETURNED_KEEP')
    notes.push('Jobs hold all that is left: nothing can be voided unless what they give back is.');
  return notes;
}
