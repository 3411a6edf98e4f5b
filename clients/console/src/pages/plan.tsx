/** A plan: its rate card in force and over time, what changed, its terms and packs, and a calculator. */
import { call } from '../api.ts';
import { big, counted, credits, durationMs, lengthOf, money, validity, words } from '../format.ts';
import type { Operation, Pack, Plan as PlanMessage, RateCard, Terms } from '../messages.ts';
import { Amount, At, Badge, Empty, Fact, Facts, Id, Loaded, Section } from '../parts/basics.tsx';
import {
  allowanceText,
  changesBetween,
  inputTexts,
  operationText,
  type PriceChange,
} from '../parts/price-text.ts';
import { Table } from '../parts/table.tsx';
import { Link, type Place } from '../router.tsx';
import { serviceNow } from '../state.ts';
import { useRead } from '../use-read.ts';
import { Calculator } from './calculator.tsx';

/** Versions that are read: the newest. */
const VERSIONS = 12;

type PlanNow = {
  readonly plan: PlanMessage;
  /** Newest first; the last is only there to compare with. */
  readonly cards: readonly RateCard[];
  readonly newest: number;
};

async function readPlan(planId: string, shown: number, signal: AbortSignal): Promise<PlanNow> {
  const { plan = {} } = await call('GetPlan', { planId }, signal);
  const upcoming = (plan.upcomingRateCards ?? []).map(({ version }) => Number(version));
  const newest = Math.max(Number(plan.rateCardVersion ?? 1), ...upcoming);
  const last = Math.min(newest, Math.max(shown, newest - VERSIONS + 1) + VERSIONS - 1);
  const versions = Array.from({ length: Math.min(VERSIONS + 1, last) }, (_, index) => last - index);
  const cards = await Promise.all(
    versions.map(async (version) => {
      const request = { planId, rateCardVersion: String(version) };
      return (await call('GetPlan', request, signal)).rateCard ?? {};
    }),
  );
  return { plan, cards, newest };
}

export const Plan = ({ place }: { readonly place: Place }) => {
  const [, planId = ''] = place.segments;
  const asked = Number(place.search.get('version') ?? 0);
  const read = useRead(
    `plan ${planId} ${asked}`,
    (signal) => readPlan(planId, asked, signal),
    `plan ${planId}`,
  );
  const title = read.data?.plan.title;
  return (
    <>
      <header class="page-head">
        <div class="page-title">
          <h1 tabIndex={-1}>
            <span class="kind">Plan</span> {title || planId}
          </h1>
          <Id value={planId} />
        </div>
      </header>
      <Loaded read={read} lines={12}>
        {(now) => <Parts now={now} asked={asked} />}
      </Loaded>
    </>
  );
};

const Parts = ({ now, asked }: { readonly now: PlanNow; readonly asked: number }) => {
  const { plan, cards } = now;
  const inForce = Number(plan.rateCardVersion ?? 1);
  const version = asked || inForce;
  const card = cards.find((one) => Number(one.version) === version);
  const before = cards.find((one) => Number(one.version) === version - 1);
  return (
    <>
      <Versions now={now} current={version} />
      {card ? (
        <>
          <Section
            title={`Prices of version ${version}`}
            aside={
              <>
                {version === inForce && <Badge tone="good">in force</Badge>}
                {card.withdrawn && <Badge tone="bad">withdrawn</Badge>}
              </>
            }
          >
            <Prices operations={card.operations ?? []} />
          </Section>
          {version > 1 && <Changes version={version} changes={changesBetween(before, card)} />}
          <Calculator plan={plan} card={card} version={version} />
        </>
      ) : (
        <Empty title={`The plan has no version ${version} among those that are shown.`} />
      )}
      <Section title="Terms">
        <TermFacts terms={plan.terms ?? {}} />
      </Section>
      {(plan.packs ?? []).length > 0 && (
        <Section title="Packs">
          <Packs packs={plan.packs ?? []} />
        </Section>
      )}
    </>
  );
};

const Versions = ({
  now: { plan, cards, newest },
  current,
}: {
  readonly now: PlanNow;
  readonly current: number;
}) => {
  const inForce = Number(plan.rateCardVersion ?? 1);
  return (
    <Section
      title="Rate cards over time"
      aside={<span class="faint">{counted(newest, 'version')}</span>}
    >
      <ol class="versions" reversed>
        {cards.slice(0, VERSIONS).map((card, index) => {
          const { version = '', effectiveAt, withdrawn } = card;
          const number = Number(version);
          const changes = number > 1 ? changesBetween(cards[index + 1], card) : [];
          const isUpcoming = Date.parse(effectiveAt ?? '') > serviceNow();
          return (
            <li key={version} class={number === current ? 'is-current' : ''}>
              <Link
                to={['plans', plan.planId ?? '']}
                query={{ version }}
                current={number === current}
              >
                Version {version}
              </Link>{' '}
              {number === inForce && <Badge tone="good">in force</Badge>}
              {isUpcoming && !withdrawn && <Badge tone="busy">upcoming</Badge>}
              {withdrawn && <Badge tone="bad">withdrawn</Badge>} <At at={effectiveAt} />{' '}
              <span class="faint">
                {number === 1
                  ? counted(card.operations?.length, 'operation')
                  : counted(changes.length, 'change')}
              </span>
            </li>
          );
        })}
      </ol>
    </Section>
  );
};

const Prices = ({ operations }: { readonly operations: readonly Operation[] }) => (
  <Table
    caption="Operations and their prices"
    rows={operations}
    keyOf={({ operation }) => operation ?? ''}
    columns={[
      {
        title: 'Operation',
        isHead: true,
        cell: ({ operation, title }) => (
          <>
            <code>{operation}</code>
            {title && <span class="faint block">{title}</span>}
          </>
        ),
      },
      {
        title: 'Price in credits',
        cell: (operation) =>
          operation.billable === false ? <Badge>free of charge</Badge> : operationText(operation),
      },
      {
        title: 'Inputs',
        isUsed: (operation) => inputTexts(operation).length > 0,
        cell: (operation) =>
          inputTexts(operation).map((text) => (
            <span key={text} class="block">
              {text}
            </span>
          )),
      },
    ]}
  />
);

const Changes = ({
  version,
  changes,
}: {
  readonly version: number;
  readonly changes: readonly PriceChange[];
}) => (
  <Section title={`What version ${version} changed`}>
    {changes.length === 0 ? (
      <Empty title={`Nothing differs from version ${version - 1}.`} />
    ) : (
      <Table
        caption={`Changes from version ${version - 1} to ${version}`}
        rows={changes}
        keyOf={({ operation }) => operation}
        columns={[
          {
            title: 'Operation',
            isHead: true,
            cell: ({ operation, kind }) => (
              <>
                <code>{operation}</code>{' '}
                <Badge tone={kind === 'removed' ? 'bad' : kind === 'added' ? 'good' : 'busy'}>
                  {kind}
                </Badge>
              </>
            ),
          },
          { title: 'Before', cell: ({ before }) => before || <span class="faint">–</span> },
          { title: 'After', cell: ({ after }) => after || <span class="faint">–</span> },
        ]}
      />
    )}
  </Section>
);

const TermFacts = ({ terms }: { readonly terms: Terms }) => {
  const { welcome, allowance, overageLimit, overageRates, lowBalanceLevels = [] } = terms;
  return (
    <Facts>
      <Fact name="Welcome">
        {welcome ? `${counted(welcome.credits, 'credit')}, ${validity(welcome.validity)}` : 'none'}
      </Fact>
      <Fact name="Allowance">
        {allowance
          ? `${allowanceText(allowance)}; rollover ${words(allowance.rollover, 'ROLLOVER')}${big(allowance.rolloverUpTo) > 0n ? ` ${credits(allowance.rolloverUpTo)}` : ''}`
          : 'none'}
      </Fact>
      <Fact name="What is owed">
        {terms.payOwed ? 'is paid first by later credits' : 'stays until it is refunded'}
      </Fact>
      <Fact name="Overage">
        {overageLimit === undefined ? 'none: prepaid' : `up to ${credits(overageLimit)} a month`}
        {overageRates && (
          <>
            , {words(overageRates.mode, 'MODE')}:{' '}
            {(overageRates.tiers ?? [])
              .map(
                ({ upTo, unitPrice }) =>
                  `${unitPrice} ${overageRates.currency}${upTo === undefined ? '' : ` up to ${credits(upTo)}`}`,
              )
              .join(', then ')}
          </>
        )}
      </Fact>
      <Fact name="Low-balance levels">
        {lowBalanceLevels.length === 0
          ? 'none'
          : lowBalanceLevels
              .map((level) => (level.percent ? `${level.percent} %` : credits(level.credits)))
              .join(', ')}
      </Fact>
      <Fact name="Pause floor">
        {big(terms.pauseFloor) > 0n ? credits(terms.pauseFloor) : 'none'}
      </Fact>
      <Fact name="Reservations last">
        {lengthOf(durationMs(terms.reservationTtl))}, at most{' '}
        {lengthOf(durationMs(terms.reservationMaxTtl))}
      </Fact>
      <Fact name="Late commits">
        {lengthOf(durationMs(terms.lateCommitGrace))} after the expiry
      </Fact>
      {terms.lateUsage && (
        <Fact name="Late usage">up to {lengthOf(durationMs(terms.lateUsage))}</Fact>
      )}
      {terms.timeZone !== 'UTC' && <Fact name="Time zone of new accounts">{terms.timeZone}</Fact>}
      <Fact name="Refunds to expired grants">{words(terms.refundExpired, 'REFUND_EXPIRED')}</Fact>
    </Facts>
  );
};

const Packs = ({ packs }: { readonly packs: readonly Pack[] }) => (
  <Table
    caption="Packs, in the order of the plan"
    rows={packs}
    keyOf={({ packId }) => packId ?? ''}
    columns={[
      {
        title: 'Pack',
        isHead: true,
        cell: ({ title, packId }) => (
          <>
            {title} <code class="faint">{packId}</code>
          </>
        ),
      },
      { title: 'Credits', isNumber: true, cell: (pack) => <Amount of={pack.credits} /> },
      {
        title: 'Price',
        isNumber: true,
        cell: ({ price }) => <span class="amount">{money(price)}</span>,
      },
      { title: 'Valid', cell: (pack) => validity(pack.validity) },
    ]}
  />
);
