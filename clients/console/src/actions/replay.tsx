/** Sends events to the webhook endpoint again: one delivery, or those that were given up. */
import { act } from '../api.ts';
import { big, counted } from '../format.ts';
import type { Delivery } from '../messages.ts';
import { ActionDialog } from './action-dialog.tsx';

const LOGGED = 'It is in the log of the service, with your name.';

export const ReplayAction = ({
  delivery,
  onClose,
  onDone,
}: {
  readonly delivery: Delivery;
  readonly onClose: () => void;
  readonly onDone: () => void;
}) => {
  const { accountId = '', eventId = '', type } = delivery.event ?? {};
  return (
    <ActionDialog
      onClose={onClose}
      onDone={onDone}
      action={{
        title: `Deliver ${type} again`,
        verb: 'Deliver again',
        content: eventId,
        effects: [{ name: 'Attempts', before: big(delivery.attempts), after: 0n }],
        notes: [
          `Event ${eventId} of ${accountId} becomes due at once, with all its attempts to come. It keeps its id, so the endpoint can ignore a duplicate.`,
        ],
        reasonIsKept: LOGGED,
        act: (_, reason) => act('ReplayDelivery', { accountId, eventId }, reason),
        said: () => 'The delivery is pending, and due now.',
      }}
    />
  );
};

/** `dead`: how many there are, as far as is known. */
export const ReplayDeadAction = ({
  dead,
  onClose,
  onDone,
}: {
  readonly dead: bigint;
  readonly onClose: () => void;
  readonly onDone: () => void;
}) => {
  const replayed = dead > 1_000n ? 1_000n : dead;
  return (
    <ActionDialog
      onClose={onClose}
      onDone={onDone}
      action={{
        title: 'Deliver all dead events again',
        verb: 'Deliver all again',
        content: 'dead',
        effects: [{ name: 'Dead deliveries', before: dead, after: dead - replayed }],
        notes: ['At most 1,000 at a time, oldest events first, of all accounts that you may see.'],
        reasonIsKept: LOGGED,
        act: (_, reason) => act('ReplayDeadDeliveries', {}, reason),
        said: ({ replayed: count }) =>
          `${counted(count, 'delivery is', 'deliveries are')} due now.`,
      }}
    />
  );
};
