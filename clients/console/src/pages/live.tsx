/** What the replica does now, and what needs somebody. It is read every two seconds while it is seen. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { ReplayAction, ReplayDeadAction } from '../actions/replay.tsx';
import { type ApiError, call, type LiveFigures, readLive } from '../api.ts';
import { counted, credits, durationMs, lengthOf, words } from '../format.ts';
import type { Delivery, Refusal, StuckReservation } from '../messages.ts';
import {
  Amount,
  At,
  Badge,
  Empty,
  Id,
  Loaded,
  Name,
  Problem,
  Section,
  ZoneName,
} from '../parts/basics.tsx';
import { Cells } from '../parts/cells.tsx';
import { Sparkline } from '../parts/sparkline.tsx';
import { Table } from '../parts/table.tsx';
import { Who } from '../parts/who.tsx';
import { hrefOf } from '../router.tsx';
import { useMay } from '../state.ts';
import { toApiError, useRead } from '../use-read.ts';

const EVERY_MS = 2_000;
/** Readings that are kept for the lines: two minutes. */
const KEPT = 60;
/** The lists below the figures are read this often. */
const LISTS_EVERY = 5;

type Readings = {
  readonly figures: readonly LiveFigures[];
  readonly error: ApiError | null;
  /** Counts the readings. */
  readonly turn: number;
};

/** Nothing is asked while nobody sees the page, and one reading waits for the one before. */
function useLive(isAllowed: boolean): Readings {
  const [readings, setReadings] = useState<Readings>({ figures: [], error: null, turn: 0 });
  useEffect(() => {
    if (!isAllowed) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const next = async () => {
      if (!document.hidden)
        try {
          const figures = await readLive(stop.signal);
          setReadings((before) => ({
            figures: [...before.figures, figures].slice(-KEPT),
            error: null,
            turn: before.turn + 1,
          }));
        } catch (error) {
          if (stop.signal.aborted) return;
          setReadings((before) => ({ ...before, error: toApiError(error) }));
        }
      if (!stop.signal.aborted) timer = setTimeout(next, EVERY_MS);
    };
    void next();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [isAllowed]);
  return readings;
}

export const Live = () => {
  const may = useMay('ListRefusals');
  const { figures, error, turn } = useLive(may);
  const now = figures.at(-1);
  const round = Math.floor(turn / LISTS_EVERY);
  return (
    <>
      <header class="page-head">
        <div class="page-title">
          <h1 tabIndex={-1}>Live</h1>
          <span class="faint">this replica, every 2 s while the page is seen</span>
        </div>
      </header>
      {!may && (
        <Empty title="Your role does not see the figures of the service.">
          The role operator does: ask whoever keeps the policy.
        </Empty>
      )}
      {error && <Problem error={error} />}
      {may && (
        <>
          <Figures all={figures} />
          <Cells round={round} />
          <Methods now={now} />
          <Refusals round={round} now={now} />
        </>
      )}
      <Stuck round={round} />
      <Deliveries round={round} />
    </>
  );
};

const number = (value: number | null | undefined, digits = 0): string =>
  value === null || value === undefined
    ? '–'
    : value.toLocaleString('en-US', { maximumFractionDigits: digits });

const milliseconds = (value: number | null | undefined): string =>
  value === null || value === undefined ? '–' : `${number(value, value < 10 ? 1 : 0)} ms`;

const age = (value: number | null | undefined): string =>
  value === null || value === undefined ? '–' : lengthOf(Math.max(0, value));

const Tile = ({
  name,
  value,
  note,
  values,
  isBad = false,
}: {
  readonly name: string;
  readonly value: string;
  readonly note?: string | undefined;
  readonly values?: readonly (number | null)[];
  readonly isBad?: boolean;
}) => (
  <div class={isBad ? 'tile is-bad' : 'tile'}>
    <dt>{name}</dt>
    <dd>
      <span class="tile-value">{value}</span>
      <span class="tile-note">{note ?? ' '}</span>
      {values && (
        <Sparkline
          values={values.map((one) => one ?? 0)}
          length={KEPT}
          label={`${name} of the last two minutes`}
        />
      )}
    </dd>
  </div>
);

const Figures = ({ all }: { readonly all: readonly LiveFigures[] }) => {
  const now = all.at(-1);
  const of = (value: (one: LiveFigures) => number | null) => all.map(value);
  const { calls, pool, eventLoop, reservations, deliveries, verify } = now ?? {};
  const hasDead = (deliveries?.dead ?? 0) > 0;
  const refusals = (one: LiveFigures) =>
    one.refusals.reduce((sum, { perSecond }) => sum + perSecond, 0);
  return (
    <dl class="tiles">
      <Tile
        name="Calls"
        value={`${number(calls?.perSecond, 1)} /s`}
        note={`${number(calls?.failedPerSecond, 1)} /s fail`}
        values={of((one) => one.calls.perSecond)}
      />
      <Tile
        name="Latency p99"
        value={milliseconds(calls?.p99Ms)}
        note={`median ${milliseconds(calls?.p50Ms)}`}
        values={of((one) => one.calls.p99Ms)}
      />
      <Tile
        name="Refusals"
        value={`${number(now ? refusals(now) : null, 1)} /s`}
        note={now?.refusals[0]?.reason}
        values={of(refusals)}
      />
      <Tile
        name="Queue"
        value={number(now?.queue)}
        note="waiting requests"
        values={of((one) => one.queue)}
      />
      <Tile
        name="Database connections"
        value={`${number(pool?.used)} of ${number(pool?.max)}`}
        note={`${number(pool?.waiting)} wait for one`}
        values={of((one) => one.pool.used)}
        isBad={(pool?.waiting ?? 0) > 0}
      />
      <Tile
        name="Event loop"
        value={eventLoop?.utilization == null ? '–' : `${number(eventLoop.utilization * 100)} %`}
        note={`delay ${milliseconds(eventLoop?.delayP99Ms)}`}
        values={of((one) => one.eventLoop.utilization)}
      />
      <Tile
        name="Oldest reservation"
        value={age(reservations?.oldestAgeMs)}
        note={`${number(reservations?.active)} active`}
      />
      <Tile name="Oldest event" value={age(now?.eventsAgeMs)} note="to be delivered" />
      <Tile
        name="Deliveries"
        value={
          hasDead ? `${number(deliveries?.dead)} dead` : `${number(deliveries?.pending)} pending`
        }
        note={hasDead ? `${number(deliveries?.pending)} pending` : 'none is dead'}
        isBad={hasDead}
      />
      <Tile name="Clock" value={milliseconds(now?.clockOffsetMs)} note="off the database's" />
      <Tile
        name="Pending purchases"
        value={number(now?.pendingPurchases)}
        note={`sweeper behind ${age(now?.sweepLagMs)}`}
      />
      <div class={(verify?.disagreements ?? 0) > 0 ? 'tile is-bad' : 'tile'}>
        <dt>Last verify</dt>
        <dd>
          <span class="tile-value">
            {verify?.disagreements == null ? '–' : counted(verify.disagreements, 'disagreement')}
          </span>
          <span class="tile-note">
            {verify?.lastSuccessAt ? (
              <>
                last good <At at={verify.lastSuccessAt} />
              </>
            ) : (
              'not run yet: npm run verify'
            )}
          </span>
        </dd>
      </div>
    </dl>
  );
};

const Methods = ({ now }: { readonly now: LiveFigures | undefined }) => (
  <Section
    title="Calls by method"
    aside={
      now && now.windowMs > 0 && <span class="faint">of the last {lengthOf(now.windowMs)}</span>
    }
  >
    {now && now.methods.length > 0 ? (
      <Table
        caption="Calls by method, the busiest first"
        isDense
        rows={now.methods.slice(0, 12)}
        keyOf={({ method }) => method}
        columns={[
          {
            title: 'Method',
            isHead: true,
            cell: ({ method }) => <code class="whole">{method.replace(/^billing\.v1\./, '')}</code>,
          },
          { title: 'per second', isNumber: true, cell: (one) => number(one.perSecond, 1) },
          { title: 'fail', isNumber: true, cell: (one) => number(one.failedPerSecond, 1) },
          { title: 'median', isNumber: true, cell: ({ p50Ms }) => milliseconds(p50Ms) },
          { title: '99th', isNumber: true, cell: ({ p99Ms }) => milliseconds(p99Ms) },
        ]}
      />
    ) : (
      <Empty title="No call in the last seconds." />
    )}
  </Section>
);

const Refusals = ({
  round,
  now,
}: {
  readonly round: number;
  readonly now: LiveFigures | undefined;
}) => {
  const read = useRead(
    `refusals ${round}`,
    (signal) => call('ListRefusals', { pageSize: 50 }, signal),
    'refusals',
  );
  return (
    <Section
      title="Refused calls"
      aside={
        <span class="badges">
          {(now?.refusals ?? []).slice(0, 4).map(({ reason, perSecond }) => (
            <Badge key={reason} tone="warn">
              {reason} {number(perSecond, 1)} /s
            </Badge>
          ))}
        </span>
      }
    >
      <Loaded read={read}>
        {({ refusals = [], replicaId, since, dropped }) => (
          <>
            {refusals.length > 0 ? (
              <RefusalTable refusals={refusals} />
            ) : (
              <Empty title="This replica has refused nothing." />
            )}
            <p class="faint">
              <code>{replicaId}</code> remembers since <At at={since} />
              {Number(dropped ?? 0) > 0 && `, and has forgotten ${credits(dropped)}`}. Others
              remember their own: <code>scrip refusals</code> asks all.
            </p>
          </>
        )}
      </Loaded>
    </Section>
  );
};

const RefusalTable = ({ refusals }: { readonly refusals: readonly Refusal[] }) => (
  <Table
    caption="Refused calls, newest first"
    isDense
    rows={refusals.map((refusal, index) => ({ ...refusal, index }))}
    keyOf={({ at, spanId, index }) => `${at} ${spanId || index}`}
    columns={[
      {
        title: 'Reason',
        isHead: true,
        cell: ({ reason, message }) => (
          <>
            <code>{reason}</code>
            <span class="faint block">{message}</span>
          </>
        ),
      },
      {
        title: (
          <>
            At <ZoneName />
          </>
        ),
        name: 'At',
        cell: ({ at }) => <At at={at} />,
      },
      {
        title: 'Method',
        cell: ({ method = '' }) => (
          <code>
            <Name>{method.replace(/^billing\.v1\.\w+\//, '')}</Name>
          </code>
        ),
      },
      {
        title: 'Account',
        isUsed: ({ accountId }) => Boolean(accountId),
        cell: ({ accountId }) =>
          accountId ? <Id value={accountId} href={hrefOf(['accounts', accountId])} /> : <Nobody />,
      },
      {
        title: 'By',
        isUsed: ({ caller }) => Boolean(caller),
        cell: (refusal) => (refusal.caller ? <Who entry={refusal} /> : <Nobody />),
      },
      {
        title: 'Trace',
        isUsed: ({ traceId }) => Boolean(traceId),
        cell: ({ traceId, traceUrl }) =>
          traceUrl ? (
            <a href={traceUrl} target="_blank" rel="noreferrer">
              open<span class="unseen"> the trace {traceId} (in a new tab)</span>
            </a>
          ) : (
            <Id short value={traceId} />
          ),
      },
    ]}
  />
);

const Nobody = () => <span class="faint">–</span>;

const Stuck = ({ round }: { readonly round: number }) => {
  const may = useMay('ListStuckReservations');
  const read = useRead(
    may ? `stuck ${round}` : null,
    (signal) => call('ListStuckReservations', { olderThan: '3600s', pageSize: 50 }, signal),
    'stuck',
  );
  if (!may) return null;
  return (
    <Section
      title="Stuck reservations"
      aside={<span class="faint">made more than an hour ago</span>}
    >
      <Loaded read={read} lines={2}>
        {({ reservations = [] }) =>
          reservations.length > 0 ? (
            <StuckTable reservations={reservations} />
          ) : (
            <Empty title="No reservation is stuck." />
          )
        }
      </Loaded>
    </Section>
  );
};

const StuckTable = ({ reservations }: { readonly reservations: readonly StuckReservation[] }) => (
  <Table
    caption="Reservations that were made more than an hour ago, oldest first"
    isDense
    rows={reservations}
    keyOf={({ reservation }) => reservation?.reservationId ?? ''}
    columns={[
      {
        title: 'Reservation',
        isHead: true,
        cell: ({ reservation: { reservationId = '', accountId = '' } = {} }) => (
          <Id
            short
            value={reservationId}
            href={hrefOf(['charges', 'reservation', reservationId], { account: accountId })}
          />
        ),
      },
      {
        title: 'Account',
        cell: ({ reservation: { accountId = '' } = {} }) => (
          <Id value={accountId} href={hrefOf(['accounts', accountId])} />
        ),
      },
      { title: 'Age', isNumber: true, cell: (one) => lengthOf(durationMs(one.age)) },
      {
        title: 'Held',
        isNumber: true,
        cell: ({ reservation }) => <Amount of={reservation?.held} />,
      },
      {
        title: 'Expires',
        cell: ({ reservation, overdue }) => (
          <>
            <At at={reservation?.expiresAt} /> {overdue && <Badge tone="bad">overdue</Badge>}
          </>
        ),
      },
      { title: 'By', cell: ({ caller }) => <Name>{caller}</Name> },
    ]}
  />
);

const Deliveries = ({ round }: { readonly round: number }) => {
  const may = useMay('ListDeliveries');
  const mayReplay = useMay('ReplayDelivery');
  const mayReplayAll = useMay('ReplayDeadDeliveries');
  const [replaying, setReplaying] = useState<Delivery | 'dead' | null>(null);
  const read = useRead(
    may ? `deliveries ${round}` : null,
    async (signal) => {
      const [dead, pending] = await Promise.all([
        call('ListDeliveries', { state: 'STATE_DEAD', pageSize: 50 }, signal),
        call('ListDeliveries', { state: 'STATE_PENDING', pageSize: 20 }, signal),
      ]);
      return { dead: dead.deliveries ?? [], pending: pending.deliveries ?? [] };
    },
    'deliveries',
  );
  // The counted dead ones change the list while a dialog is open: what was chosen stays.
  const chosen = useRef(0n);
  if (!may) return null;
  return (
    <Section
      title="Deliveries to the webhook endpoint"
      aside={
        mayReplayAll &&
        (read.data?.dead.length ?? 0) > 0 && (
          <button
            type="button"
            onClick={() => {
              chosen.current = BigInt(read.data?.dead.length ?? 0);
              setReplaying('dead');
            }}
          >
            Deliver all dead ones again…
          </button>
        )
      }
    >
      <Loaded read={read} lines={2}>
        {({ dead, pending }) =>
          dead.length + pending.length > 0 ? (
            <DeliveryTable
              deliveries={[...dead, ...pending]}
              onReplay={mayReplay ? setReplaying : null}
            />
          ) : (
            <Empty title="Nothing waits to be delivered." />
          )
        }
      </Loaded>
      {replaying === 'dead' && (
        <ReplayDeadAction
          dead={chosen.current}
          onClose={() => setReplaying(null)}
          onDone={read.reload}
        />
      )}
      {replaying !== null && replaying !== 'dead' && (
        <ReplayAction
          delivery={replaying}
          onClose={() => setReplaying(null)}
          onDone={read.reload}
        />
      )}
    </Section>
  );
};

const DeliveryTable = ({
  deliveries,
  onReplay,
}: {
  readonly deliveries: readonly Delivery[];
  readonly onReplay: ((delivery: Delivery) => void) | null;
}) => (
  <Table
    caption="Deliveries that are dead or pending, newest events first"
    isDense
    rows={deliveries}
    keyOf={({ event }) => event?.eventId ?? ''}
    columns={[
      {
        title: 'Event',
        isHead: true,
        cell: ({ event }) => (
          <>
            <code class="whole">{event?.type}</code> <Id short value={event?.eventId} />
          </>
        ),
      },
      {
        title: 'State',
        cell: ({ state }) => (
          <Badge tone={state === 'STATE_DEAD' ? 'bad' : 'busy'}>{words(state, 'STATE')}</Badge>
        ),
      },
      {
        title: 'Account',
        cell: ({ event }) => (
          <Id value={event?.accountId} href={hrefOf(['accounts', event?.accountId ?? ''])} />
        ),
      },
      { title: 'Attempts', isNumber: true, cell: ({ attempts }) => number(attempts ?? 0) },
      {
        title: 'Next',
        isUsed: ({ nextAttemptAt }) => Boolean(nextAttemptAt),
        cell: ({ nextAttemptAt }) => <At at={nextAttemptAt} />,
      },
      {
        title: 'Last error',
        isUsed: ({ lastError }) => Boolean(lastError),
        cell: ({ lastError }) => <span class="faint">{lastError}</span>,
      },
      ...(onReplay
        ? [
            {
              title: <span class="unseen">Actions</span>,
              name: '',
              cell: (delivery: Delivery) => (
                <button type="button" onClick={() => onReplay(delivery)}>
                  Deliver again…
                </button>
              ),
            },
          ]
        : []),
    ]}
  />
);
