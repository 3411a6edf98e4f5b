/** A charge, by any of its ids: its path as a timeline, its prices, and the grants that paid it. */
import { useState } from 'preact/hooks';
import { RefundAction } from '../actions/refund.tsx';
import { refundable } from '../actions/refund-shares.ts';
import { ReleaseAction } from '../actions/release.tsx';
import { call } from '../api.ts';
import { isIdKind, requestOf } from '../find.ts';
import { big, change, credits, lengthOf, money, words } from '../format.ts';
import type { ChargeCandidate, ChargePath, ChargeStep, Entry, PricedUsage } from '../messages.ts';
import {
  Amount,
  At,
  Badge,
  Empty,
  Fact,
  Facts,
  Id,
  Loaded,
  Name,
  Section,
  type Tone,
} from '../parts/basics.tsx';
import { chargeHref, chargeName, historyHref } from '../parts/charge-links.ts';
import { changeOf, stepName, toneOf } from '../parts/entry.ts';
import { EntryNote, hasNote, tellsDetails } from '../parts/entry-note.tsx';
import { GrantTable } from '../parts/grant-table.tsx';
import { Split } from '../parts/split.tsx';
import { Table } from '../parts/table.tsx';
import { UsageTable } from '../parts/usage.tsx';
import { Who } from '../parts/who.tsx';
import { hrefOf, Link, type Place } from '../router.tsx';
import { useMay } from '../state.ts';
import { useRead } from '../use-read.ts';

export const Charge = ({ place }: { readonly place: Place }) => {
  const [, kind = '', id = ''] = place.segments;
  const account = place.search.get('account') ?? '';
  const may = useMay('TraceCharge');
  const request = isIdKind(kind) ? requestOf(kind, id, account) : null;
  const read = useRead(may && request ? `charge ${kind} ${id} ${account}` : null, (signal) =>
    call('TraceCharge', { ...request, pageSize: 20 }, signal),
  );
  return (
    <>
      <header class="page-head">
        <div class="page-title">
          <h1 tabIndex={-1}>
            <span class="kind">Charge by {kind}</span> <Id value={id} />
          </h1>
          <span class="page-actions">
            <button type="button" onClick={read.reload} disabled={read.isLoading}>
              Reload
            </button>
          </span>
        </div>
      </header>
      {!may && (
        <Empty title="Your role does not follow charges.">
          The roles observer and operator do: ask whoever keeps the policy.
        </Empty>
      )}
      {may && !request && <Empty title={`This is no ${kind} id.`}>Use the search above.</Empty>}
      {may && request && (
        <Loaded read={read} lines={12}>
          {({ paths = [], candidates = [], nextPageToken }) => (
            <>
              {paths.map((path) => (
                <Path
                  key={JSON.stringify(path.key)}
                  path={path}
                  isNamed={[path.key?.reservationId, path.key?.purchaseId].includes(id)}
                  onChanged={read.reload}
                />
              ))}
              {candidates.length > 0 && <Candidates candidates={candidates} />}
              {nextPageToken && (
                <p class="faint">
                  There are more charges with this id: <code>scrip trace</code> lists them all.
                </p>
              )}
            </>
          )}
        </Loaded>
      )}
    </>
  );
};

const Candidates = ({ candidates }: { readonly candidates: readonly ChargeCandidate[] }) => (
  <Section title="Several charges have this id">
    <p>Choose the one that you mean: none is picked for you.</p>
    <Table
      caption="Charges that have the id"
      rows={candidates}
      keyOf={({ key }) => JSON.stringify(key)}
      columns={[
        {
          title: 'Charge',
          isHead: true,
          cell: ({ key }) => <a href={chargeHref(key)}>{chargeName(key ?? {})}</a>,
        },
        { title: 'Account', cell: ({ key }) => key?.accountId },
        { title: 'At', cell: ({ at }) => <At at={at} /> },
        { title: 'Step', cell: ({ kind }) => words(kind, 'KIND') },
        {
          title: 'Credits',
          isNumber: true,
          cell: (candidate) => <Amount of={candidate.credits} />,
        },
        { title: 'By', cell: ({ caller }) => <Name>{caller}</Name> },
      ]}
    />
  </Section>
);

const STATES: Readonly<Record<string, readonly [text: string, tone: Tone]>> = {
  STATE_RUNNING: ['running', 'busy'],
  STATE_OVERDUE: ['expired, not swept yet', 'warn'],
  STATE_LATE: ['expired; late commits are accepted', 'warn'],
  STATE_ENDED: ['ended', 'good'],
};

const GAPS: Readonly<Record<string, string>> = {
  GAP_BEGINNING: 'the entry that begins it is missing: run npm run verify',
  GAP_END: 'the entry that ended it is missing: run npm run verify',
  GAP_ERASED: 'personal data of some steps was erased',
  GAP_MORE_STEPS: 'it has more steps than a page: the history of the account has them',
};

const Path = ({
  path,
  isNamed,
  onChanged,
}: {
  readonly path: ChargePath;
  /** The heading of the page has its id. */
  readonly isNamed: boolean;
  readonly onChanged: () => void;
}) => {
  const { key = {}, steps = [], grants = [], gaps = [], complete } = path;
  const [state, tone] = STATES[path.state ?? ''] ?? ['unknown', 'plain'];
  const usages = steps.flatMap(({ entry }) =>
    (entry?.usages ?? []).map((usage) => ({ ...usage, step: entry })),
  );
  return (
    <article class="path">
      <div class="path-head">
        <h2>
          {key.reservationId
            ? 'Reservation'
            : key.purchaseId
              ? 'Purchase'
              : `Entry ${key.entrySeq}`}{' '}
          {!isNamed && <Id value={key.reservationId || key.purchaseId} />}
        </h2>
        <Badge tone={tone}>{state}</Badge>
        {complete && <Badge tone="good">complete</Badge>}
        {path.until && <At at={path.until} />}
        <PathActions path={path} onChanged={onChanged} />
      </div>
      {gaps.length > 0 && (
        <p class="notice notice-warn">{gaps.map((gap) => GAPS[gap] ?? gap).join('; ')}</p>
      )}
      <PathFacts path={path} />
      <Section title="Path">
        <ol class="timeline">
          {steps.map((step, index) => (
            <Step
              key={step.entry?.seq}
              step={step}
              before={steps[index - 1]?.entry}
              steps={steps}
              onChanged={onChanged}
            />
          ))}
        </ol>
      </Section>
      {usages.length > 0 && <Prices path={path} usages={usages} />}
      {grants.length > 0 && (
        <Section title="Grants" aside={<span class="faint">as they are now</span>}>
          <GrantTable
            caption="Grants that the credits came from or went to"
            grants={grants}
            withState
          />
        </Section>
      )}
    </article>
  );
};

const PathFacts = ({ path }: { readonly path: ChargePath }) => {
  const { key = {}, planId, rateCardVersion, steps = [] } = path;
  const entries = steps.map(({ entry }) => entry ?? {});
  const charges = entries.filter(({ kind }) => kind === 'KIND_CHARGE' || kind === 'KIND_COMMIT');
  const isCharge = key.reservationId !== undefined || charges.length > 0;
  const charged = charges.reduce((sum, entry) => sum + big(entry.credits), 0n);
  const refunded = entries
    .filter(({ kind }) => kind === 'KIND_REFUND')
    .reduce((sum, entry) => sum + big(entry.credits), 0n);
  return (
    <Facts>
      <Fact name="Account">
        <Id value={key.accountId} href={hrefOf(['accounts', key.accountId ?? ''])} />
      </Fact>
      <Fact name="Priced by">
        {planId ? (
          <Link
            to={['plans', planId]}
            query={{ version: big(rateCardVersion) > 0n ? String(rateCardVersion) : undefined }}
          >
            {planId}
            {big(rateCardVersion) > 0n && `, rate card version ${rateCardVersion}`}
          </Link>
        ) : (
          'no plan'
        )}
      </Fact>
      {isCharge && (
        <Fact name="Spent">
          <strong>
            <Amount of={charged - refunded} />
          </strong>
          {refunded > 0n && (
            <span class="faint">
              {' '}
              ({credits(charged)} charged, {credits(refunded)} refunded)
            </span>
          )}
        </Fact>
      )}
    </Facts>
  );
};

const PathActions = ({
  path,
  onChanged,
}: {
  readonly path: ChargePath;
  readonly onChanged: () => void;
}) => {
  const mayRelease = useMay('Release');
  const [isReleasing, setReleasing] = useState(false);
  const { accountId = '', reservationId } = path.key ?? {};
  const isHeld = path.state === 'STATE_RUNNING' || path.state === 'STATE_LATE';
  // The dialog stays after the release, and says what it did.
  if (!mayRelease || !reservationId || !(isHeld || isReleasing)) return null;
  return (
    <span class="page-actions">
      {isHeld && (
        <button type="button" onClick={() => setReleasing(true)}>
          Release…
        </button>
      )}
      {isReleasing && (
        <ReleaseAction
          reservation={{ accountId, reservationId }}
          onClose={() => setReleasing(false)}
          onDone={onChanged}
        />
      )}
    </span>
  );
};

const Step = ({
  step,
  before,
  steps,
  onChanged,
}: {
  readonly step: ChargeStep;
  readonly before: Entry | undefined;
  readonly steps: readonly ChargeStep[];
  readonly onChanged: () => void;
}) => {
  const { entry = {}, found, traceUrl, erased } = step;
  const mayRefund = useMay('Refund');
  const [isRefunding, setRefunding] = useState(false);
  const left = refundable(entry, steps);
  const since = before && Date.parse(entry.at ?? '') - Date.parse(before.at ?? '');
  const reason = entry.details?.['reason'];
  const delta = changeOf(entry);
  return (
    <li class={`step step-${toneOf(entry)}${found ? ' is-found' : ''}`}>
      <div class="step-head">
        <strong class="step-name">{stepName(entry)}</strong>
        <span class="step-credits">
          <Amount of={entry.credits} />
        </span>
        <Split entry={entry} />
        {found && !steps.every((one) => one.found) && (
          <Badge tone="busy">the id you searched</Badge>
        )}
        {erased && <Badge>erased</Badge>}
        {mayRefund && left > 0n && (
          <button type="button" class="step-action" onClick={() => setRefunding(true)}>
            Refund…
          </button>
        )}
      </div>
      <div class="step-line">
        <At at={entry.at} />
        {since !== undefined && since >= 0 && <span class="faint">{lengthOf(since)} later</span>}
      </div>
      {hasNote(entry) && (
        <p class="step-note">
          <EntryNote entry={entry} />
        </p>
      )}
      {reason && <blockquote class="step-reason">{reason}</blockquote>}
      <dl class="step-facts">
        <Fact name="By">
          <Who entry={entry} />
        </Fact>
        <Fact name="Entry">
          <a href={historyHref(entry)} title="In the history of the account">
            {credits(entry.seq)}
          </a>
        </Fact>
        <Fact name="Remaining after">
          <Amount of={entry.remainingAfter} />
          {delta !== 0n && <span class="faint"> ({change(delta)})</span>}
        </Fact>
        {big(entry.reservedAfter) > 0n && (
          <Fact name="Reserved after">
            <Amount of={entry.reservedAfter} />
          </Fact>
        )}
        {big(entry.owedAfter) > 0n && (
          <Fact name="Owed after">
            <Amount of={entry.owedAfter} />
          </Fact>
        )}
        {big(entry.overageAfter) > 0n && (
          <Fact name="Overage after">
            <Amount of={entry.overageAfter} />
          </Fact>
        )}
        {entry.expiresAt && (
          <Fact name="Expires">
            <At at={entry.expiresAt} bare />
          </Fact>
        )}
        {entry.reference && (
          <Fact name="Reference">
            <Id
              value={entry.reference}
              href={hrefOf(['charges', 'reference', entry.reference], { account: entry.accountId })}
            />
          </Fact>
        )}
        {entry.requestId && (
          <Fact name="Request">
            <Id short value={entry.requestId} />
          </Fact>
        )}
        {entry.traceId && (
          <Fact name="Trace">
            {traceUrl ? (
              <a href={traceUrl} target="_blank" rel="noreferrer">
                open the trace<span class="unseen"> of entry {entry.seq} (in a new tab)</span>
              </a>
            ) : (
              <Id short value={entry.traceId} href={hrefOf(['charges', 'trace', entry.traceId])} />
            )}
          </Fact>
        )}
        {detailsOf(entry).map(([name, value]) => (
          <Fact key={name} name={name.replaceAll('_', ' ')}>
            {name.endsWith('_at') ? <At at={value} bare /> : value}
          </Fact>
        ))}
        {Object.entries(entry.labels ?? {}).map(([name, value]) => (
          <Fact key={`label ${name}`} name={`label ${name}`}>
            {value}
          </Fact>
        ))}
      </dl>
      {isRefunding && (
        <RefundAction
          entry={entry}
          left={left}
          onClose={() => setRefunding(false)}
          onDone={onChanged}
        />
      )}
    </li>
  );
};

/** What an entry of a purchase or a grant set. The reason has a line of its own; money is put together. */
function detailsOf(entry: Entry): readonly (readonly [string, string])[] {
  if (tellsDetails(entry)) return [];
  const { details = {} } = entry;
  const { reason: _, amount, currency, ...others } = details;
  const price = amount ? [['price', money({ amount, currency: currency ?? '' })] as const] : [];
  return [...price, ...Object.entries(others)].filter(([, value]) => value !== '');
}

type StepUsage = PricedUsage & { readonly step: Entry | undefined };

/** The prices of all steps, with what they are made of, as the rate card of then says. */
const Prices = ({
  path,
  usages,
}: {
  readonly path: ChargePath;
  readonly usages: readonly StepUsage[];
}) => {
  const { key = {}, planId, rateCardVersion } = path;
  const may = useMay('Estimate');
  const version = String(rateCardVersion ?? '0');
  // Estimates are of the account's plan: after a move to another one the parts are not shown.
  const read = useRead(
    may && version !== '0' ? `parts ${JSON.stringify(key)} ${version} ${usages.length}` : null,
    async (signal) => {
      const { accountId = '' } = key;
      const { account } = await call('GetAccount', { accountId }, signal);
      if (account?.planId !== planId) return [];
      const items = usages.slice(0, 100).flatMap(({ usage }) => (usage ? [usage] : []));
      const request = { accountId, usages: { items }, rateCardVersion: version };
      const estimate = await call('Estimate', request, signal).catch(() => null);
      return estimate?.lines ?? [];
    },
  );
  const lines = usages.slice(0, 100).map((line, index) => {
    const parts = read.data?.[index];
    return parts?.unitCredits === line.unitCredits && parts?.components
      ? { ...line, components: parts.components }
      : line;
  });
  return (
    <Section
      title="Price"
      aside={<span class="faint">on rate card version {version}, line by line</span>}
    >
      <UsageTable caption="Priced usages of all steps" lines={lines} />
      {usages.length > lines.length && (
        <p class="faint">and {credits(usages.length - lines.length)} more lines</p>
      )}
    </Section>
  );
};
