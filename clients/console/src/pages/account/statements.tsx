/** The statement of a month, line by line, and the months that there are. */
import { call } from '../../api.ts';
import { big, counted, credits, money, monthIn, monthsBetween, words } from '../../format.ts';
import type { Statement } from '../../messages.ts';
import { Amount, At, Badge, Empty, Fact, Facts, Loaded, Section } from '../../parts/basics.tsx';
import { Table } from '../../parts/table.tsx';
import { hrefOf, navigate, type Place } from '../../router.tsx';
import { serviceNow, useMay } from '../../state.ts';
import { useRead } from '../../use-read.ts';
import type { AccountNow } from './account.tsx';

export const Statements = ({ now, place }: { readonly now: AccountNow; readonly place: Place }) => {
  const may = useMay('GetStatement');
  const accountId = now.account.accountId ?? '';
  const { timeZone = 'UTC' } = now.account;
  const first = monthIn(timeZone, Date.parse(now.account.openedAt ?? ''));
  const months = monthsBetween(first, monthIn(timeZone, serviceNow()));
  const asked = place.search.get('month') ?? '';
  const month = months.includes(asked) ? asked : (months[0] ?? first);
  const read = useRead(
    may ? `statement ${accountId} ${month}` : null,
    (signal) => call('GetStatement', { accountId, month }, signal),
    `statement ${accountId}`,
  );
  if (!may) return <Empty title="Your role does not read statements." />;
  const index = months.indexOf(month);
  const go = (to: string | undefined) =>
    to && navigate(hrefOf(['accounts', accountId, 'statements'], { month: to }));
  return (
    <Section
      title={`Statement of ${month}`}
      aside={
        <span class="stepper">
          <button
            type="button"
            disabled={index === months.length - 1}
            onClick={() => go(months[index + 1])}
          >
            ← <span class="unseen">Month before</span>
          </button>
          <label>
            <span class="unseen">Month</span>
            <select value={month} onChange={(event) => go(event.currentTarget.value)}>
              {months.map((one) => (
                <option key={one} value={one}>
                  {one}
                </option>
              ))}
            </select>
          </label>
          <button type="button" disabled={index === 0} onClick={() => go(months[index - 1])}>
            → <span class="unseen">Month after</span>
          </button>
        </span>
      }
    >
      <Loaded read={read} lines={8}>
        {({ statement = {} }) => <Lines statement={statement} isPresent={index === 0} />}
      </Loaded>
    </Section>
  );
};

const Lines = ({
  statement,
  isPresent,
}: {
  readonly statement: Statement;
  readonly isPresent: boolean;
}) => {
  const { closedAt, usage = [], creditsUsed = [], total, otherTotals = [] } = statement;
  return (
    <>
      <Facts>
        <Fact name="State">
          {closedAt ? (
            <>
              <Badge tone="good">closed</Badge> <At at={closedAt} />
            </>
          ) : (
            <>
              <Badge tone="busy">{isPresent ? 'so far' : 'open'}</Badge>{' '}
              <span class="faint">
                {statement.overageRates ? 'it is closed when the month is over' : 'computed now'}
              </span>
            </>
          )}
        </Fact>
        <Fact name="Month">calendar month in UTC</Fact>
        <Fact name="Plan">
          <a href={hrefOf(['plans', statement.planId ?? ''])}>{statement.planId}</a>
        </Fact>
        <Fact name="Entries">
          {big(statement.lastSeq) > big(statement.afterSeq)
            ? `${credits(big(statement.afterSeq) + 1n)} to ${credits(statement.lastSeq)}`
            : 'none'}
        </Fact>
      </Facts>
      <div class="total">
        <span>
          {big(statement.overage) > 0n
            ? `${counted(statement.overage, 'credit')} of overage`
            : 'To pay'}
        </span>
        <strong class="amount">
          {total ? money(total) : 'nothing'}
          {otherTotals.map((other) => (
            <span key={other.currency}> and {money(other)}</span>
          ))}
        </strong>
      </div>
      {usage.length + creditsUsed.length === 0 ? (
        <Empty title="Nothing was used in this month." />
      ) : (
        <div class="beside">
          <UsageLines statement={statement} />
          <CategoryLines statement={statement} />
        </div>
      )}
      <BillLines statement={statement} />
    </>
  );
};

const UsageLines = ({ statement: { usage = [] } }: { readonly statement: Statement }) => (
  <div>
    <h3>Usage by operation</h3>
    <Table
      caption="Usage by operation"
      rows={usage}
      keyOf={({ operation }) => operation ?? ''}
      columns={[
        {
          title: 'Operation',
          isHead: true,
          cell: ({ operation }) =>
            operation ? <code>{operation}</code> : <span class="faint">no operation</span>,
        },
        { title: 'Count', isNumber: true, cell: ({ count }) => <Amount of={count} hideZero /> },
        { title: 'Credits', isNumber: true, cell: (line) => <Amount of={line.credits} /> },
        {
          title: 'Refunded',
          isNumber: true,
          isUsed: ({ refunded }) => big(refunded) > 0n,
          cell: ({ refunded }) => <Amount of={refunded} hideZero />,
        },
      ]}
    />
  </div>
);

const CategoryLines = ({
  statement: { creditsUsed = [], overage, owed },
}: {
  readonly statement: Statement;
}) => (
  <div>
    <h3>Paid with</h3>
    <Table
      caption="Credits used, by category of their grants"
      rows={[
        ...creditsUsed.map(({ category, credits: used }) => ({
          name: `${words(category, 'CATEGORY')} credits`,
          used,
        })),
        ...(big(overage) > 0n ? [{ name: 'overage', used: overage }] : []),
        ...(big(owed) > 0n ? [{ name: 'nothing yet: owed', used: owed }] : []),
      ]}
      keyOf={({ name }) => name}
      columns={[
        { title: 'Credits', isHead: true, cell: ({ name }) => name },
        { title: 'Used', isNumber: true, cell: ({ used }) => <Amount of={used} /> },
      ]}
    />
  </div>
);

const BillLines = ({ statement }: { readonly statement: Statement }) => {
  const { overageLines = [], adjustments = [] } = statement;
  if (overageLines.length + adjustments.length === 0) return null;
  const rows = [
    ...overageLines.map(({ tier, quantity, unitPrice, amount }) => ({
      name: `Overage, tier ${tier}`,
      quantity,
      each: unitPrice ?? '',
      amount: money(amount),
    })),
    ...adjustments.map(({ month, credits: refunded, amount }) => ({
      name: `Refunds of ${month}`,
      quantity: refunded,
      each: '',
      amount: amount ? money(amount) : 'not billed',
    })),
  ];
  return (
    <>
      <h3>What is to be paid</h3>
      <Table
        caption="Lines of the bill"
        rows={rows}
        keyOf={({ name }) => name}
        columns={[
          { title: 'Line', isHead: true, cell: ({ name }) => name },
          { title: 'Credits', isNumber: true, cell: ({ quantity }) => <Amount of={quantity} /> },
          { title: 'Each', isNumber: true, cell: ({ each }) => <span class="amount">{each}</span> },
          {
            title: 'Amount',
            isNumber: true,
            cell: ({ amount }) => <strong class="amount">{amount}</strong>,
          },
        ]}
      />
    </>
  );
};
