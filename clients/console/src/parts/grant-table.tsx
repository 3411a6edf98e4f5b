/** Grants as rows, with what is left of each. */
import { big, credits, percentOf, words } from '../format.ts';
import type { Grant } from '../messages.ts';
import { hrefOf } from '../router.tsx';
import { Amount, At, Badge, Id, ZoneName } from './basics.tsx';
import { categoryClass } from './grant-stack.tsx';
import { type Column, Table } from './table.tsx';
import { canBeVoided } from './voidable.ts';

/** The priority of a grant that nobody gave another one. */
const PRIORITY = 50;

/** What made the grant, with a link to the purchase. */
const Source = ({ grant }: { readonly grant: Grant }) => {
  const { source, sourceReference } = grant;
  return (
    <>
      {words(source, 'SOURCE')}{' '}
      {source === 'SOURCE_PURCHASE' ? (
        <Id
          short
          value={sourceReference}
          href={hrefOf(['charges', 'purchase', sourceReference ?? ''])}
        />
      ) : (
        <span class="faint">{sourceReference}</span>
      )}
    </>
  );
};

const Left = ({ grant }: { readonly grant: Grant }) => (
  <>
    <Amount of={grant.remaining} /> <span class="faint">of {credits(grant.amount)}</span>
    <span class="meter" aria-hidden="true">
      <span
        class={categoryClass(grant)}
        style={{ width: `${percentOf(big(grant.remaining), big(grant.amount))}%` }}
      />
    </span>
    <Voided grant={grant} />
  </>
);

/** What an operator voided of it, and what is still to be. */
const Voided = ({ grant: { voided, voidOnReturn } }: { readonly grant: Grant }) => {
  const parts = [
    ...(big(voided) > 0n ? [`${credits(voided)} voided`] : []),
    ...(big(voidOnReturn) > 0n ? [`${credits(voidOnReturn)} voided if given back`] : []),
  ];
  return parts.map((part) => (
    <span key={part} class="left-note">
      {part}
    </span>
  ));
};

type Options = {
  /** The number of the grant that burns next. */
  readonly next?: string | undefined;
  readonly withState?: boolean;
  /** Offers to void a grant that has something to void. */
  readonly onVoid?: ((grant: Grant) => void) | undefined;
};

const columns = ({ next, withState, onVoid }: Options): readonly Column<Grant>[] => [
  {
    title: 'Grant',
    isHead: true,
    cell: (grant) => (
      <>
        <span class={`dot ${categoryClass(grant)}`} aria-hidden="true" />#{grant.grantId}{' '}
        {grant.grantId === next && <Badge tone="busy">burns next</Badge>}
        {grant.stranded && <Badge tone="warn">stranded</Badge>}
      </>
    ),
  },
  { title: 'Left', isNumber: true, cell: (grant) => <Left grant={grant} /> },
  {
    title: 'Reserved',
    isNumber: true,
    isUsed: ({ reserved }) => big(reserved) > 0n,
    cell: ({ reserved }) => <Amount of={reserved} hideZero />,
  },
  {
    title: 'Category',
    cell: ({ category }) => <span class="whole">{words(category, 'CATEGORY')}</span>,
  },
  { title: 'From', cell: (grant) => <Source grant={grant} /> },
  {
    title: (
      <>
        Expires <ZoneName />
      </>
    ),
    name: 'Expires',
    cell: ({ expiresAt }) => (expiresAt ? <At at={expiresAt} /> : <span class="faint">never</span>),
  },
  {
    title: 'Only for',
    isUsed: ({ operations }) => (operations?.length ?? 0) > 0,
    cell: ({ operations }) => (operations ?? []).join(', '),
  },
  {
    title: 'Priority',
    isNumber: true,
    isUsed: ({ priority }) => (priority ?? 0) !== PRIORITY,
    cell: ({ priority }) => priority ?? 0,
  },
  ...(withState
    ? [{ title: 'State', cell: ({ state }: Grant) => <Badge>{words(state, 'STATE')}</Badge> }]
    : []),
  ...(onVoid
    ? [
        {
          title: <span class="unseen">Actions</span>,
          name: '',
          isUsed: canBeVoided,
          cell: (grant: Grant) =>
            canBeVoided(grant) && (
              <button type="button" onClick={() => onVoid(grant)}>
                Void…<span class="unseen"> credits of grant {grant.grantId}</span>
              </button>
            ),
        },
      ]
    : []),
];

export const GrantTable = ({
  caption,
  grants,
  ...options
}: {
  readonly caption: string;
  readonly grants: readonly Grant[];
} & Options) => (
  <Table
    caption={caption}
    columns={columns(options)}
    rows={grants}
    keyOf={({ grantId }) => grantId ?? ''}
  />
);
