/** The history: the balance as a chart, and the entries as a list, page by page. */
import { useMemo, useState } from 'preact/hooks';
import { big, change, counted, credits, words } from '../../format.ts';
import type { Entry } from '../../messages.ts';
import {
  Amount,
  At,
  Badge,
  Digits,
  Empty,
  Loaded,
  Name,
  Section,
  ZoneName,
} from '../../parts/basics.tsx';
import { entryHref } from '../../parts/charge-links.ts';
import { Chart } from '../../parts/chart.tsx';
import { changeOf, partsOf, stepName, toneOf } from '../../parts/entry.ts';
import { EntryNote, hasNote } from '../../parts/entry-note.tsx';
import { Split } from '../../parts/split.tsx';
import { Table } from '../../parts/table.tsx';
import { Who } from '../../parts/who.tsx';
import { hrefOf, navigate, type Place } from '../../router.tsx';
import { useMay, useShared } from '../../state.ts';
import { useRead } from '../../use-read.ts';
import type { AccountNow } from './account.tsx';
import { type EntryFilter, PAGE_SIZE, readEntryPage } from './entry-window.ts';
import { type Range, readSamples, type Samples } from './samples.ts';

export const History = ({ now, place }: { readonly now: AccountNow; readonly place: Place }) => {
  const mayList = useMay('ListEntries');
  const mayStream = useMay('StreamHistory');
  const accountId = now.account.accountId ?? '';
  const newest = Number(now.balance.seq ?? 0);
  if (!mayList || !mayStream) return <Empty title="Your role does not read histories." />;
  if (newest === 0) return <Empty title="The account has no entries yet." />;
  return (
    <>
      <BalanceChart accountId={accountId} newest={newest} />
      <Entries accountId={accountId} newest={newest} place={place} />
    </>
  );
};

const BalanceChart = ({
  accountId,
  newest,
}: {
  readonly accountId: string;
  readonly newest: number;
}) => {
  const [zoomed, setZoomed] = useState<Range | null>(null);
  const range = zoomed ?? { from: 1, to: newest };
  const read = useRead(
    `samples ${accountId} ${range.from} ${range.to}`,
    (signal) => readSamples(accountId, range, signal),
    `samples ${accountId}`,
  );
  return (
    <Section
      title="Balance"
      aside={
        zoomed ? (
          <button type="button" onClick={() => setZoomed(null)}>
            Show all entries
          </button>
        ) : (
          <span class="faint wide-only">drag over the chart to look closer</span>
        )
      }
    >
      <div class="chart-place">
        <Loaded read={read} lines={7}>
          {(samples) => (
            <>
              <SampleChart samples={samples} onZoom={setZoomed} />
              <p class="faint chart-note">
                {samples.isComplete
                  ? `Every entry from ${credits(range.from)} to ${credits(range.to)}.`
                  : `${samples.entries.length} of the entries ${credits(range.from)} to ${credits(range.to)}, at even distances: look closer to see those between.`}
              </p>
            </>
          )}
        </Loaded>
      </div>
    </Section>
  );
};

const SampleChart = ({
  samples: { entries },
  onZoom,
}: {
  readonly samples: Samples;
  readonly onZoom: (range: Range) => void;
}) => {
  const { zone } = useShared();
  const { times, lines } = useMemo(() => linesOf(entries), [entries]);
  const [first, last] = [entries[0], entries.at(-1)];
  const label = `Balance over time: remaining from ${credits(first?.remainingAfter)} after entry ${first?.seq} to ${credits(last?.remainingAfter)} after entry ${last?.seq}. The list below has the values.`;
  return (
    <Chart
      label={label}
      times={times}
      lines={lines}
      zone={zone}
      onSelect={(from, to) => {
        const range = { from: Number(entries[from]?.seq ?? 1), to: Number(entries[to]?.seq ?? 1) };
        if (range.to > range.from) onZoom(range);
      }}
    />
  );
};

function linesOf(entries: readonly Entry[]) {
  const times = entries.map(({ at }) => Date.parse(at ?? '') / 1_000);
  const valuesOf = (value: (entry: Entry) => string | undefined) =>
    entries.map((entry) => big(value(entry)));
  const reserved = valuesOf((entry) => entry.reservedAfter);
  const overage = valuesOf((entry) => entry.overageAfter);
  const lines = [
    {
      label: 'Remaining',
      color: '--chart-1',
      isArea: true,
      values: valuesOf((entry) => entry.remainingAfter),
    },
    ...(reserved.some((value) => value > 0n)
      ? [{ label: 'Reserved', color: '--chart-2', values: reserved }]
      : []),
    ...(overage.some((value) => value > 0n)
      ? [{ label: 'Overage', color: '--chart-3', values: overage }]
      : []),
  ];
  return { times, lines };
}

const KINDS = [
  'CHARGE',
  'RESERVE',
  'COMMIT',
  'RELEASE',
  'EXPIRE',
  'RAISE',
  'EXTEND',
  'REFUND',
  'GRANT',
  'GRANT_EFFECTIVE',
  'GRANT_EXPIRED',
  'VOID_GRANT',
  'UPDATE_GRANT',
  'PURCHASE',
  'CHECKOUT',
  'PAYMENT',
  'CLAW_BACK',
  'REINSTATE',
  'REJECT_PURCHASE',
  'OPEN_ACCOUNT',
  'IMPORT',
  'CHECKPOINT',
  'UPDATE_ACCOUNT',
  'PLAN_CHANGE',
  'SUSPEND_ACCOUNT',
  'RESUME_ACCOUNT',
  'SET_BUDGET',
  'REMOVE_BUDGET',
  'CLOSE_ACCOUNT',
  'ERASE_ACCOUNT_DATA',
];

const Entries = ({
  accountId,
  newest,
  place,
}: {
  readonly accountId: string;
  readonly newest: number;
  readonly place: Place;
}) => {
  const { search } = place;
  const filter: EntryFilter = {
    kind: search.get('kind') ?? '',
    operation: search.get('operation') ?? '',
    reference: search.get('reference') ?? '',
  };
  const asked = Number(search.get('upto') ?? newest);
  const upTo = Number.isInteger(asked) && asked > 0 ? Math.min(asked, newest) : newest;
  const href = (change: Readonly<Record<string, string>>) =>
    hrefOf(['accounts', accountId, 'history'], { ...filter, ...change });
  const read = useRead(
    `entries ${accountId} ${upTo} ${JSON.stringify(filter)}`,
    (signal) => readEntryPage(accountId, upTo, filter, signal),
    `entries ${accountId}`,
  );
  return (
    <Section
      title="Entries"
      aside={<span class="faint">{counted(newest, 'entry', 'entries')}</span>}
    >
      <Filter filter={filter} onFilter={(next) => navigate(href({ upto: '', ...next }))} />
      <Loaded read={read} lines={12}>
        {({ entries, lookedDownTo }) => (
          <>
            {entries.length > 0 ? (
              <EntryTable entries={entries} />
            ) : (
              <Empty title="No entry matches.">
                {lookedDownTo > 0
                  ? `The entries ${credits(lookedDownTo + 1)} to ${credits(upTo)} were looked through; go on to older ones.`
                  : 'Change the filter, or remove it.'}
              </Empty>
            )}
            <nav class="pages" aria-label="Pages of the history">
              <a
                class="button"
                href={href({ upto: '' })}
                {...(upTo === newest && { 'aria-disabled': true, tabIndex: -1 })}
              >
                ← Newest
              </a>
              <span class="faint">
                {entries.length > 0 &&
                  `Entries ${credits(entries.at(-1)?.seq)} to ${credits(entries[0]?.seq)}`}
              </span>
              <a
                class="button"
                href={href({ upto: String(lookedDownTo) })}
                {...(lookedDownTo === 0 && { 'aria-disabled': true, tabIndex: -1 })}
              >
                Older →
              </a>
            </nav>
            <JumpTo onJump={(seq) => navigate(href({ upto: String(seq + PAGE_SIZE / 2) }))} />
          </>
        )}
      </Loaded>
    </Section>
  );
};

const Filter = ({
  filter,
  onFilter,
}: {
  readonly filter: EntryFilter;
  readonly onFilter: (filter: EntryFilter) => void;
}) => {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const of = (name: string) => String(data.get(name) ?? '').trim();
    onFilter({ kind: of('kind'), operation: of('operation'), reference: of('reference') });
  };
  return (
    // The key sets the fields again when the address changes.
    <form class="filters" onSubmit={submit} key={JSON.stringify(filter)}>
      <label>
        Kind
        <select
          name="kind"
          defaultValue={filter.kind}
          onChange={(event) => onFilter({ ...filter, kind: event.currentTarget.value })}
        >
          <option value="">all</option>
          {KINDS.map((kind) => (
            <option key={kind} value={`KIND_${kind}`} selected={filter.kind === `KIND_${kind}`}>
              {words(kind, 'KIND')}
            </option>
          ))}
        </select>
      </label>
      <label>
        Operation
        <input name="operation" defaultValue={filter.operation} placeholder="image.upscale" />
      </label>
      <label>
        Reference
        <input name="reference" defaultValue={filter.reference} placeholder="job-4711" />
      </label>
      <button type="submit">Filter</button>
      {Object.values(filter).some(Boolean) && (
        <button type="button" onClick={() => onFilter({ kind: '', operation: '', reference: '' })}>
          Clear
        </button>
      )}
    </form>
  );
};

const JumpTo = ({ onJump }: { readonly onJump: (seq: number) => void }) => {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const seq = Number(new FormData(event.currentTarget as HTMLFormElement).get('seq'));
    if (Number.isInteger(seq) && seq > 0) onJump(seq);
  };
  return (
    <form class="filters jump" onSubmit={submit}>
      <label>
        Go to entry
        <input name="seq" inputMode="numeric" pattern="[0-9]+" size={8} required />
      </label>
      <button type="submit">Go</button>
    </form>
  );
};

const Change = ({ entry }: { readonly entry: Entry }) => {
  const value = changeOf(entry);
  if (value === 0n) return <span class="faint">–</span>;
  return (
    <span class={value > 0n ? 'plus' : 'minus'}>
      <Digits text={change(value)} />
    </span>
  );
};

const What = ({ entry }: { readonly entry: Entry }) => {
  const operations = (entry.usages ?? []).map(({ usage }) =>
    big(usage?.count ?? 1) === 1n
      ? usage?.operation
      : `${credits(usage?.count)} × ${usage?.operation}`,
  );
  const reason = entry.details?.['reason'];
  return (
    <>
      {operations.slice(0, 3).map((text, index) => (
        <code key={index} class="input">
          {text}
        </code>
      ))}
      {operations.length > 3 && <span class="faint">and {operations.length - 3} more</span>}
      {entry.reference && (
        <span class="reference">
          <Name>{entry.reference}</Name>
        </span>
      )}
      <EntryNote entry={entry} />
      {reason && <q>{reason}</q>}
    </>
  );
};

const EntryTable = ({ entries }: { readonly entries: readonly Entry[] }) => (
  <Table
    caption="Entries, newest first"
    isDense
    rows={entries}
    keyOf={({ seq }) => seq ?? ''}
    columns={[
      {
        title: 'Entry',
        isHead: true,
        cell: (entry) => (
          <>
            <a class="seq" href={entryHref(entry.accountId ?? '', entry.seq)}>
              {credits(entry.seq)}
            </a>{' '}
            <Badge tone={toneOf(entry)}>{stepName(entry)}</Badge>
          </>
        ),
      },
      {
        title: (
          <>
            At <ZoneName />
          </>
        ),
        name: '',
        cell: ({ at }) => <At at={at} />,
      },
      {
        title: 'What',
        name: '',
        isUsed: (entry) =>
          Boolean(entry.usages?.length || entry.reference || entry.details?.['reason']) ||
          hasNote(entry),
        cell: (entry) => <What entry={entry} />,
      },
      {
        title: 'Credits',
        isNumber: true,
        isUsed: (entry) => big(entry.credits) > 0n,
        cell: (entry) => <Amount of={entry.credits} hideZero />,
      },
      {
        title: 'Grants',
        isUsed: (entry) => partsOf(entry).length > 0,
        cell: (entry) => <Split entry={entry} />,
      },
      {
        title: 'Change',
        isNumber: true,
        isUsed: (entry) => changeOf(entry) !== 0n,
        cell: (entry) => <Change entry={entry} />,
      },
      {
        title: 'Remaining',
        isNumber: true,
        cell: ({ remainingAfter }) => <Amount of={remainingAfter} />,
      },
      {
        title: 'Reserved',
        isNumber: true,
        isUsed: ({ reservedAfter }) => big(reservedAfter) > 0n,
        cell: ({ reservedAfter }) => <Amount of={reservedAfter} hideZero />,
      },
      {
        title: 'Overage',
        isNumber: true,
        isUsed: ({ overageAfter }) => big(overageAfter) > 0n,
        cell: ({ overageAfter }) => <Amount of={overageAfter} hideZero />,
      },
      {
        title: 'Owed',
        isNumber: true,
        isUsed: ({ owedAfter }) => big(owedAfter) > 0n,
        cell: ({ owedAfter }) => <Amount of={owedAfter} hideZero />,
      },
      { title: 'By', cell: (entry) => <Who entry={entry} /> },
    ]}
  />
);
