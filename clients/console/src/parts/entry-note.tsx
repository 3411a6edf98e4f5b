/** What an entry set, in a sentence: voided credits, changed terms of a grant, a suspension. */
import type { ComponentChildren } from 'preact';
import { big, counted, credits } from '../format.ts';
import type { Entry } from '../messages.ts';
import { At } from './basics.tsx';

/** Kinds whose details the note says, so that they are not listed once more. */
const TOLD: ReadonlySet<string | undefined> = new Set([
  'KIND_VOID_GRANT',
  'KIND_UPDATE_GRANT',
  'KIND_SUSPEND_ACCOUNT',
]);

export const tellsDetails = ({ kind }: Entry): boolean => TOLD.has(kind);

/** Of another kind of entry: credits that came back from a job or a refund, and were voided at once. */
const voidedOnReturn = ({ kind, moves = [] }: Entry): bigint =>
  kind === 'KIND_VOID_GRANT'
    ? 0n
    : moves
        .filter(({ to }) => to?.kind === 'KIND_VOIDED')
        .reduce((sum, move) => sum + big(move.credits), 0n);

export const hasNote = (entry: Entry): boolean => tellsDetails(entry) || voidedOnReturn(entry) > 0n;

export const EntryNote = ({ entry }: { readonly entry: Entry }): ComponentChildren => {
  switch (entry.kind) {
    case 'KIND_VOID_GRANT':
      return <span class="note">{voidText(entry)}</span>;
    case 'KIND_UPDATE_GRANT':
      return <NewTerms entry={entry} />;
    case 'KIND_SUSPEND_ACCOUNT':
      return (
        <span class="note">
          new work is refused; {runningText(entry.details?.['running'] === 'STOP')}
        </span>
      );
  }
  const voided = voidedOnReturn(entry);
  return voided > 0n ? (
    <span class="note">{credits(voided)} of what came back voided at once</span>
  ) : null;
};

/** What a suspension means for jobs. */
export const runningText = (isStopped: boolean): string =>
  isStopped
    ? 'jobs that have reserved can neither commit nor extend'
    : 'jobs that have reserved may go on';

function voidText({ credits: voided, grantId, details }: Entry): string {
  const later = big(details?.['void_on_return']);
  const now = `${counted(voided, 'credit')} of grant #${grantId} voided`;
  return later > 0n ? `${now}; up to ${credits(later)} more as jobs give them back` : now;
}

const NewTerms = ({ entry: { grantId, details = {} } }: { readonly entry: Entry }) => (
  <span class="note">
    grant #{grantId}:{' '}
    {['expires_at', 'priority', 'operations']
      .filter((name) => details[name] !== undefined)
      .map((name, index) => (
        <span key={name}>
          {index > 0 && '; '}
          <Term name={name} value={details[name] ?? ''} /> <span class="faint">instead of</span>{' '}
          <Term name={name} value={details[`previous_${name}`] ?? ''} isBefore />
        </span>
      ))}
  </span>
);

/** The one before goes without what the term is called. */
const Term = ({
  name,
  value,
  isBefore = false,
}: {
  readonly name: string;
  readonly value: string;
  readonly isBefore?: boolean;
}) => {
  switch (name) {
    case 'expires_at':
      if (value === 'never') return <>{isBefore ? 'never' : 'expires never'}</>;
      return (
        <>
          {!isBefore && 'expires '}
          <At at={value} bare />
        </>
      );
    case 'priority':
      return <>{isBefore ? value : `priority ${value}`}</>;
  }
  if (value === '') return <>{isBefore ? 'all' : 'for all operations'}</>;
  const operations = value.replaceAll(',', ', ');
  return <>{isBefore ? operations : `only for ${operations}`}</>;
};
