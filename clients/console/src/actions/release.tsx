/** Returns what a reservation holds. */
import { act, call } from '../api.ts';
import { big, credits } from '../format.ts';
import type { Balance, Grant, Reservation } from '../messages.ts';
import { isGrant, sourceOf } from '../parts/entry.ts';
import { useRead } from '../use-read.ts';
import { ActionDialog, type Effect } from './action-dialog.tsx';
import { givenBack, limitedAvailable } from './given-back.ts';

export const ReleaseAction = ({
  reservation,
  onClose,
  onDone,
}: {
  readonly reservation: Reservation;
  readonly onClose: () => void;
  readonly onDone: () => void;
}) => {
  const { accountId = '', reservationId = '' } = reservation;
  // Read when the dialog opens: the job may have gone on since the page was loaded.
  const read = useRead(`release ${reservationId}`, async (signal) => {
    const [{ balance = {}, grants = [] }, { reservation: now = {} }] = await Promise.all([
      call('GetBalance', { accountId, includeGrants: true }, signal),
      call('GetReservation', { accountId, reservationId }, signal),
    ]);
    return { balance, grants, now };
  });
  const { balance = {}, grants = [], now = reservation } = read.data ?? {};
  const held = big(now.held);
  const hasEnded = now.state === 'STATE_COMMITTED' || now.state === 'STATE_RELEASED';
  const preview = previewOf(now, balance, grants);
  return (
    <ActionDialog
      onClose={onClose}
      onDone={onDone}
      action={{
        title: 'Release a reservation',
        verb: `Release ${credits(held)}`,
        content: reservationId,
        effects: !read.data || hasEnded ? null : preview.effects,
        notes: [
          ...(read.error ? [read.error.message] : []),
          ...(hasEnded ? ['The reservation has ended meanwhile: nothing is left to release.'] : []),
          ...(now.state === 'STATE_EXPIRED'
            ? [
                'The reservation has expired and holds nothing. Released, it cannot be committed late.',
              ]
            : []),
          ...preview.notes,
          `Reservation ${reservationId} of ${accountId}. A job that still runs cannot commit afterwards: make sure that it does not.`,
        ],
        reasonIsKept:
          'The ledger has no field for it: it is in the log of the service, with your name.',
        act: (requestId, reason) => act('Release', { accountId, reservationId, requestId }, reason),
        said: ({ released, entrySeq }) =>
          big(entrySeq) > 0n
            ? `Released ${credits(released)} credits, entry ${entrySeq}.`
            : 'The reservation had ended before: nothing was changed.',
      }}
    />
  );
};

function previewOf(
  { held, allocations = [] }: Reservation,
  balance: Balance,
  grants: readonly Grant[],
): { readonly effects: readonly Effect[]; readonly notes: readonly string[] } {
  const shares = allocations.map((allocation) => ({
    source: sourceOf(allocation),
    credits: big(allocation.credits),
  }));
  const { general, limited, overage, expired, voided } = givenBack(shares, {
    grants,
    now: Date.parse(balance.asOf ?? ''),
    grantsAgain: false,
  });
  const lost = expired + voided;
  const effect = (name: string, before: bigint, by: bigint) => ({
    name,
    before,
    after: before + by,
  });
  const parts = shares.map(
    ({ source, credits: part }) =>
      `${isGrant(source) ? `grant #${source}` : source}: ${credits(part)}`,
  );
  return {
    effects: [
      effect('Available', big(balance.available), general + overage),
      ...(limited > 0n
        ? [effect('Available to some operations', limitedAvailable(balance), limited)]
        : []),
      ...(lost > 0n ? [effect('Remaining', big(balance.remaining), -lost)] : []),
      effect('Reserved', big(balance.reserved), -big(held)),
    ],
    notes: [
      ...(parts.length > 0 ? [`Back to ${parts.join(', ')}.`] : []),
      ...(expired > 0n
        ? [`${credits(expired)} of them are of grants that have expired: they are lost.`]
        : []),
      ...(voided > 0n ? [`${credits(voided)} of them are voided as they come back.`] : []),
    ],
  };
}
