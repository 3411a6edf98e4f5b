/** Reservations: those that hold credits by their age, and those that have ended. */
import { useState } from 'preact/hooks';
import { ReleaseAction } from '../../actions/release.tsx';
import { call } from '../../api.ts';
import { big, counted, credits, words } from '../../format.ts';
import type { Reservation } from '../../messages.ts';
import {
  Amount,
  At,
  Badge,
  Empty,
  Id,
  Loaded,
  Section,
  type Tone,
  ZoneName,
} from '../../parts/basics.tsx';
import { PageButtons } from '../../parts/page-buttons.tsx';
import { usePages } from '../../parts/pages.ts';
import { type Column, Table } from '../../parts/table.tsx';
import { hrefOf } from '../../router.tsx';
import { serviceNow, useMay, useNow } from '../../state.ts';
import { useRead } from '../../use-read.ts';
import type { AccountNow } from './account.tsx';

/** Active ones of an account that are looked at; the service lists the newest first. */
const ACTIVE_MAX = 200;
const ENDED_PAGE = 50;

export const Reservations = ({
  now,
  onReload,
}: {
  readonly now: AccountNow;
  readonly onReload: () => void;
}) => {
  const may = useMay('ListReservations');
  const [releasing, setReleasing] = useState<Reservation | null>(null);
  const accountId = now.account.accountId ?? '';
  const active = useRead(`active ${accountId}`, (signal) =>
    call('ListReservations', { accountId, states: ['STATE_ACTIVE'], pageSize: ACTIVE_MAX }, signal),
  );
  const ended = usePages(`ended ${accountId}`, (pageToken, signal) =>
    call(
      'ListReservations',
      {
        accountId,
        states: ['STATE_COMMITTED', 'STATE_RELEASED', 'STATE_EXPIRED'],
        pageSize: ENDED_PAGE,
        pageToken,
      },
      signal,
    ),
  );
  if (!may) return <Empty title="Your role does not list reservations." />;
  const reload = () => {
    active.reload();
    ended.read.reload();
    onReload();
  };
  return (
    <>
      <Section title="Holding credits" aside={<span class="faint">oldest first</span>}>
        <Loaded read={active}>
          {({ reservations = [], nextPageToken }) =>
            reservations.length > 0 ? (
              <>
                {nextPageToken && (
                  <p class="faint">
                    The newest {ACTIVE_MAX} of them. <code>scrip reservations --stuck</code> lists
                    the oldest.
                  </p>
                )}
                <Ages reservations={reservations} />
                <Active reservations={reservations.toReversed()} onRelease={setReleasing} />
              </>
            ) : (
              <Empty title="No reservation holds credits.">
                A reservation appears here from Reserve until its final Commit, its Release or its
                expiry.
              </Empty>
            )
          }
        </Loaded>
      </Section>
      <Section title="Ended" aside={<span class="faint">newest first</span>}>
        <Loaded read={ended.read}>
          {({ reservations = [] }) =>
            reservations.length > 0 ? (
              <Ended reservations={reservations} />
            ) : (
              <Empty title="None has ended yet." />
            )
          }
        </Loaded>
        <PageButtons pages={ended} />
      </Section>
      {releasing && (
        <ReleaseAction reservation={releasing} onClose={() => setReleasing(null)} onDone={reload} />
      )}
    </>
  );
};

const STEPS = [
  ['up to 1 min', 60_000],
  ['up to 15 min', 15 * 60_000],
  ['up to 1 h', 3_600_000],
  ['up to 1 day', 86_400_000],
  ['older', Number.POSITIVE_INFINITY],
] as const;

/** How many there are of each age, and what they hold. */
const Ages = ({ reservations }: { readonly reservations: readonly Reservation[] }) => {
  const now = useNow(15_000);
  const groups = STEPS.map(([name, max], index) => {
    const min = STEPS[index - 1]?.[1] ?? Number.NEGATIVE_INFINITY;
    const own = reservations.filter(({ createdAt }) => {
      const age = now - Date.parse(createdAt ?? '');
      return age > min && age <= max;
    });
    return { name, count: own.length, held: own.reduce((sum, { held }) => sum + big(held), 0n) };
  });
  const most = Math.max(...groups.map(({ count }) => count), 1);
  return (
    <ul class="ages" aria-label="Reservations by age">
      {groups.map(({ name, count, held }) => (
        <li key={name}>
          <span class="age-bar" aria-hidden="true">
            <span style={{ height: `${(count / most) * 100}%` }} />
          </span>
          <span>{name}</span>
          <span class="faint">
            {count === 0 ? 'none' : `${credits(count)}, ${counted(held, 'credit')}`}
          </span>
        </li>
      ))}
    </ul>
  );
};

const idColumn: Column<Reservation> = {
  title: 'Reservation',
  isHead: true,
  cell: ({ reservationId = '', accountId = '', reference }) => (
    <>
      <Id
        short
        value={reservationId}
        href={hrefOf(['charges', 'reservation', reservationId], { account: accountId })}
      />
      {reference && <span class="reference">{reference}</span>}
    </>
  ),
};

const madeColumn: Column<Reservation> = {
  title: (
    <>
      Made <ZoneName />
    </>
  ),
  name: 'Made',
  cell: ({ createdAt }) => <At at={createdAt} />,
};

const Active = ({
  reservations,
  onRelease,
}: {
  readonly reservations: readonly Reservation[];
  readonly onRelease: (reservation: Reservation) => void;
}) => {
  const mayRelease = useMay('Release');
  return (
    <Table
      caption="Reservations that hold credits, oldest first"
      rows={reservations}
      keyOf={({ reservationId }) => reservationId ?? ''}
      columns={[
        idColumn,
        madeColumn,
        { title: 'Held', isNumber: true, cell: ({ held }) => <Amount of={held} /> },
        {
          title: 'Committed',
          isNumber: true,
          cell: ({ committed }) => <Amount of={committed} hideZero />,
        },
        {
          title: 'Expires',
          cell: ({ expiresAt }) => (
            <>
              <At at={expiresAt} />{' '}
              {Date.parse(expiresAt ?? '') < serviceNow() && <Badge tone="warn">overdue</Badge>}
            </>
          ),
        },
        ...(mayRelease
          ? [
              {
                title: <span class="unseen">Actions</span>,
                name: '',
                cell: (reservation: Reservation) => (
                  <button type="button" onClick={() => onRelease(reservation)}>
                    Release…
                  </button>
                ),
              },
            ]
          : []),
      ]}
    />
  );
};

const TONES: Readonly<Record<string, Tone>> = {
  STATE_COMMITTED: 'good',
  STATE_EXPIRED: 'warn',
};

const Ended = ({ reservations }: { readonly reservations: readonly Reservation[] }) => (
  <Table
    caption="Reservations that have ended, newest first"
    rows={reservations}
    keyOf={({ reservationId }) => reservationId ?? ''}
    columns={[
      idColumn,
      {
        title: 'State',
        cell: ({ state = '', late }) => (
          <>
            <Badge tone={TONES[state] ?? 'plain'}>{words(state, 'STATE')}</Badge>
            {late && <Badge tone="warn">late commit</Badge>}
          </>
        ),
      },
      madeColumn,
      { title: 'Ended', cell: ({ endedAt }) => <At at={endedAt} /> },
      { title: 'Reserved', isNumber: true, cell: (one) => <Amount of={one.credits} /> },
      {
        title: 'Committed',
        isNumber: true,
        cell: ({ committed }) => <Amount of={committed} hideZero />,
      },
      {
        title: 'Returned',
        isNumber: true,
        cell: ({ returned }) => <Amount of={returned} hideZero />,
      },
    ]}
  />
);
