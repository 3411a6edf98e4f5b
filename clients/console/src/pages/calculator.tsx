/** What a usage costs, by Estimate: on any version of the rate card, for an account of the plan. */
import { useState } from 'preact/hooks';
import { call } from '../api.ts';
import { big, counted, credits, money } from '../format.ts';
import type { Estimate, Operation, Plan, RateCard } from '../messages.ts';
import { Badge, Empty, Loaded, Section } from '../parts/basics.tsx';
import { UsageTable } from '../parts/usage.tsx';
import { useMay } from '../state.ts';
import { useRead } from '../use-read.ts';

type Inputs = Readonly<Record<string, string>>;

export const Calculator = ({
  plan,
  card,
  version,
}: {
  readonly plan: Plan;
  readonly card: RateCard;
  readonly version: number;
}) => {
  const may = useMay('Estimate');
  const mayList = useMay('ListAccounts');
  const { planId = '' } = plan;
  const operations = card.operations ?? [];
  const [name, setName] = useState(() => operations.find(({ billable }) => billable)?.operation);
  const [inputs, setInputs] = useState<Inputs>({});
  const [count, setCount] = useState('1');
  const [account, setAccount] = useState('');
  const first = useRead(may && mayList ? `first ${planId}` : null, (signal) =>
    call('ListAccounts', { planId, pageSize: 1 }, signal),
  );
  const accountId = account.trim() || (first.data?.accounts?.[0]?.accountId ?? '');
  const operation = operations.find((one) => one.operation === name) ?? operations[0];
  const usage = operation && usageOf(operation, inputs, count);
  const key = usage && accountId ? JSON.stringify([accountId, version, usage]) : null;
  const read = useRead(
    key,
    (signal) =>
      call(
        'Estimate',
        {
          accountId,
          usages: { items: usage ? [usage] : [] },
          ...(card.withdrawn ? {} : { rateCardVersion: String(version) }),
        },
        signal,
      ),
    `estimate ${planId}`,
  );
  if (!may || !operation)
    return (
      <Section title="Price calculator">
        <Empty
          title={may ? 'The rate card has no operations.' : 'Your role does not estimate prices.'}
        />
      </Section>
    );
  return (
    <Section title="Price calculator" aside={<span class="faint">it charges nothing</span>}>
      <div class="calculator">
        <form class="calculator-form" onSubmit={(event) => event.preventDefault()}>
          <label class="field">
            Operation
            <select
              value={operation.operation}
              onChange={(event) => {
                setName(event.currentTarget.value);
                setInputs({});
              }}
            >
              {operations.map((one) => (
                <option key={one.operation} value={one.operation}>
                  {one.operation}
                </option>
              ))}
            </select>
            <span class="field-note">{operation.title}</span>
          </label>
          <InputFields
            operation={operation}
            inputs={inputs}
            onInput={(field, value) => setInputs({ ...inputs, [field]: value })}
          />
          <div class="field-row">
            <label class="field">
              Count
              <input
                type="number"
                min={0}
                value={count}
                onInput={(event) => setCount(event.currentTarget.value)}
              />
            </label>
            <label class="field">
              For the account
              <input
                value={account}
                placeholder={first.data?.accounts?.[0]?.accountId ?? 'account id'}
                onInput={(event) => setAccount(event.currentTarget.value)}
              />
            </label>
          </div>
        </form>
        <div class="calculator-result" aria-live="polite">
          {accountId ? (
            <Loaded read={read} lines={4}>
              {(estimate) => (
                <Result estimate={estimate} isPostpaid={big(plan.terms?.overageLimit) > 0n} />
              )}
            </Loaded>
          ) : (
            <Empty title="An estimate is for an account.">
              No account lives under this plan yet, or your role does not list them: enter one.
            </Empty>
          )}
        </div>
      </div>
    </Section>
  );
};

/** The smallest quantity and the first value, until something is entered. */
function usageOf(operation: Operation, inputs: Inputs, count: string) {
  const quantities = (operation.quantities ?? []).map(({ name = '', min, defaultValue }) => {
    const value = inputs[name]?.trim() || defaultValue || min || '0';
    return [name, /^-?\d+$/.test(value) ? value : '0'] as const;
  });
  const attributes = (operation.attributes ?? []).map(
    ({ name = '', values = [], defaultValue }) =>
      [name, inputs[name] || defaultValue || values[0] || ''] as const,
  );
  return {
    operation: operation.operation ?? '',
    quantities: Object.fromEntries(quantities),
    attributes: Object.fromEntries(attributes),
    count: /^\d+$/.test(count) ? count : '1',
  };
}

const InputFields = ({
  operation: { quantities = [], attributes = [] },
  inputs,
  onInput,
}: {
  readonly operation: Operation;
  readonly inputs: Inputs;
  readonly onInput: (name: string, value: string) => void;
}) => (
  <>
    {quantities.map(({ name = '', unit, min, max, defaultValue }) => (
      <label key={name} class="field">
        {name}
        <input
          type="number"
          min={min}
          max={max}
          value={inputs[name] ?? defaultValue ?? min ?? ''}
          onInput={(event) => onInput(name, event.currentTarget.value)}
        />
        <span class="field-note">
          {credits(min)} to {credits(max)} {unit}
        </span>
      </label>
    ))}
    {attributes.map(({ name = '', values = [], defaultValue }) => (
      <label key={name} class="field">
        {name}
        <select
          value={inputs[name] ?? defaultValue ?? values[0] ?? ''}
          onChange={(event) => onInput(name, event.currentTarget.value)}
        >
          {values.map((value) => (
            <option key={value} value={value}>
              {value}
            </option>
          ))}
        </select>
      </label>
    ))}
  </>
);

const Result = ({
  estimate,
  isPostpaid,
}: {
  readonly estimate: Estimate;
  readonly isPostpaid: boolean;
}) => {
  const { lines = [], sufficient, available, shortfall, packs = [] } = estimate;
  return (
    <>
      <div class="total">
        <span>It would cost</span>
        <strong class="amount">{counted(estimate.credits, 'credit')}</strong>
      </div>
      <UsageTable caption="The estimate, line by line" lines={lines} />
      <p>
        {sufficient ? (
          <Badge tone="good">the account can pay it</Badge>
        ) : (
          <Badge tone="warn">the account is {credits(shortfall)} short</Badge>
        )}{' '}
        <span class="faint">
          it can spend {credits(available)}
          {isPostpaid && ', overage included'}
        </span>
      </p>
      {packs.length > 0 && (
        <>
          <p class="faint">Packs that would cover it, best first:</p>
          <ul class="plain-list">
            {packs.map(({ pack, quantity, price, credits: ofAmount }) => (
              <li key={pack?.packId}>
                {ofAmount === undefined && `${quantity} × `}
                {pack?.title} <span class="faint">for</span> {money(price)}
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
};
