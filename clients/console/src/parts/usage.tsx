/** The price of usages, line by line. */
import { credits, inputs } from '../format.ts';
import type { Entry, PricedUsage } from '../messages.ts';
import { Amount, Badge, Name } from './basics.tsx';
import { stepName } from './entry.ts';
import { Table } from './table.tsx';

const Inputs = ({ line }: { readonly line: PricedUsage }) => (
  <>
    {inputs(line.usage?.quantities, line.usage?.attributes).map((text) => (
      <code key={text} class="input">
        {text}
      </code>
    ))}
  </>
);

/** `components`, of an estimate, tell what the price of one is made of; `step` is the entry that it was priced for. */
export const UsageTable = ({
  caption,
  lines,
}: {
  readonly caption: string;
  readonly lines: readonly (PricedUsage & { readonly step?: Entry | undefined })[];
}) => (
  <Table
    caption={caption}
    rows={lines.map((line, index) => ({ ...line, index }))}
    keyOf={({ index }) => String(index)}
    columns={[
      {
        title: 'Operation',
        isHead: true,
        cell: ({ usage, billable }) => (
          <>
            <code>
              <Name>{usage?.operation}</Name>
            </code>{' '}
            {billable === false && <Badge>free of charge</Badge>}
          </>
        ),
      },
      {
        title: 'Step',
        isUsed: ({ step }) => step !== undefined,
        cell: ({ step }) => step && `${step.seq} ${stepName(step)}`,
      },
      {
        title: 'Of',
        isUsed: ({ usage }) => inputs(usage?.quantities, usage?.attributes).length > 0,
        cell: (line) => <Inputs line={line} />,
      },
      {
        title: 'Made of',
        isUsed: ({ components }) => (components?.length ?? 0) > 0,
        cell: ({ components }) =>
          (components ?? []).map(({ label, credits: part }) => (
            <span key={label} class="component">
              {label} <span class="amount">{credits(part)}</span>
            </span>
          )),
      },
      { title: 'Count', isNumber: true, cell: ({ usage }) => <Amount of={usage?.count ?? 1} /> },
      { title: 'Each', isNumber: true, cell: ({ unitCredits }) => <Amount of={unitCredits} /> },
      {
        title: 'Credits',
        isNumber: true,
        cell: ({ credits: sum }) => (
          <strong>
            <Amount of={sum} />
          </strong>
        ),
      },
    ]}
  />
);
