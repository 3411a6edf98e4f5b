/** What an id was found as. One result is opened at once; of several none is picked. */
import { useEffect } from 'preact/hooks';
import { type Found, findAll } from '../find.ts';
import { counted, words } from '../format.ts';
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
import { chargeHref, chargeName } from '../parts/charge-links.ts';
import { Table } from '../parts/table.tsx';
import { hrefOf, navigate, type Place } from '../router.tsx';
import { useSession } from '../state.ts';
import { useRead } from '../use-read.ts';

export const Search = ({ place }: { readonly place: Place }) => {
  const id = (place.search.get('q') ?? '').trim();
  const { methods } = useSession();
  const read = useRead(id === '' ? null : `find ${id}`, (signal) =>
    findAll(id, (method) => methods.includes(method), signal),
  );
  const only = read.isLoading || !read.data ? null : onlyResult(read.data);
  useEffect(() => {
    if (only) navigate(only, { replace: true });
  }, [only]);
  return (
    <>
      <h1 tabIndex={-1}>Search</h1>
      {id === '' ? (
        <Empty title="Enter an id above.">
          Press <kbd>/</kbd> on any page to get there.
        </Empty>
      ) : (
        <Loaded read={read}>{(found) => <Results id={id} found={found} />}</Loaded>
      )}
    </>
  );
};

/** Where the only result is. Null: there is none, or there are several. */
function onlyResult({ accounts, paths, candidates, errors, hasMore }: Found): string | null {
  if (accounts.length + paths.length + candidates.length !== 1 || errors.length > 0 || hasMore)
    return null;
  const [account] = accounts;
  if (account) return hrefOf(['accounts', account.accountId ?? '']);
  return chargeHref(paths[0]?.path.key ?? candidates[0]?.candidate.key);
}

const Results = ({ id, found }: { readonly id: string; readonly found: Found }) => {
  const { accounts, paths, candidates, errors, asked, hasMore, truncated } = found;
  const count = accounts.length + paths.length + candidates.length;
  return (
    <>
      <p class="lead">
        <Id value={id} /> {count > 0 ? `has ${counted(count, 'result')}.` : ''}
      </p>
      {errors.map((error) => (
        <Problem key={error.message} error={error} />
      ))}
      {count === 0 && (
        <Empty title="Nothing has this id.">
          It was looked for as {asked.join(', ') || 'nothing: it has the form of no id'}. A call
          that was refused wrote no entry: see the refusals on the page Live, or run{' '}
          <code>scrip refusals --id ID</code>.
        </Empty>
      )}
      {accounts.length > 0 && (
        <Section title="Account">
          {accounts.map(({ accountId = '', displayName, state }) => (
            <p key={accountId}>
              <Id value={accountId} href={hrefOf(['accounts', accountId])} /> {displayName}{' '}
              <Badge>{words(state, 'STATE')}</Badge>
            </p>
          ))}
        </Section>
      )}
      {paths.length + candidates.length > 0 && (
        <Section title="Charges">
          <Charges found={found} />
          {hasMore && (
            <p class="faint">There are more than are shown: name another id of the charge.</p>
          )}
          {truncated && (
            <p class="faint">
              More than 10,000 entries have this id, and only 10,000 of them were looked at.
            </p>
          )}
        </Section>
      )}
    </>
  );
};

const Charges = ({ found }: { readonly found: Found }) => {
  const rows = [
    ...found.paths.map(({ kind, path }) => {
      const entry = (path.steps?.find((step) => step.found) ?? path.steps?.[0])?.entry;
      return { kind, key: path.key, entry };
    }),
    ...found.candidates.map(({ kind, candidate }) => ({
      kind,
      key: candidate.key,
      entry: candidate,
    })),
  ];
  return (
    <Table
      caption="Charges that have the id"
      rows={rows}
      keyOf={({ kind, key }) => `${kind} ${JSON.stringify(key)}`}
      columns={[
        {
          title: 'Charge',
          isHead: true,
          cell: ({ key }) => <a href={chargeHref(key)}>{chargeName(key ?? {})}</a>,
        },
        { title: 'Found as', cell: ({ kind }) => kind },
        {
          title: 'Account',
          cell: ({ key }) => (
            <Id value={key?.accountId} href={hrefOf(['accounts', key?.accountId ?? ''])} />
          ),
        },
        {
          title: (
            <>
              At <ZoneName />
            </>
          ),
          name: 'At',
          cell: ({ entry }) => <At at={entry?.at} />,
        },
        { title: 'Step', cell: ({ entry }) => words(entry?.kind, 'KIND') },
        { title: 'Credits', isNumber: true, cell: ({ entry }) => <Amount of={entry?.credits} /> },
        { title: 'By', cell: ({ entry }) => <Name>{entry?.caller}</Name> },
      ]}
    />
  );
};
