/** The first page: the search, and the accounts. */
import { call } from '../api.ts';
import { counted } from '../format.ts';
import type { Account, Plan } from '../messages.ts';
import { AccountState } from '../parts/account-state.tsx';
import { At, Empty, Id, Loaded, Section, ZoneName } from '../parts/basics.tsx';
import { PageButtons } from '../parts/page-buttons.tsx';
import { usePages } from '../parts/pages.ts';
import { Table } from '../parts/table.tsx';
import { hrefOf, Link, navigate, type Place } from '../router.tsx';
import { useMay } from '../state.ts';
import { useRead } from '../use-read.ts';

const PAGE_SIZE = 25;

export const Home = ({ place }: { readonly place: Place }) => {
  const mayList = useMay('ListAccounts');
  const planId = place.search.get('plan') ?? '';
  const plans = useRead('plans', (signal) => call('ListPlans', {}, signal));
  const pages = usePages(mayList ? `accounts ${planId}` : null, (pageToken, signal) =>
    call('ListAccounts', { planId, pageToken, pageSize: PAGE_SIZE }, signal),
  );
  const titles = new Map(
    plans.data?.plans?.map(({ planId: id = '', title = '' }) => [id, title] as const),
  );
  return (
    <>
      <h1 tabIndex={-1}>Accounts</h1>
      <p class="lead">
        Search by any id: an account, an entry such as <code>acme/17</code>, a reservation, a
        purchase, a request id, a reference, or the trace id of a log line.
      </p>
      <Section
        title={planId ? `Accounts under ${titles.get(planId) ?? planId}` : 'All accounts'}
        aside={<PlanFilter planId={planId} plans={plans.data?.plans ?? []} />}
      >
        {mayList ? (
          <Loaded read={pages.read} lines={8}>
            {({ accounts = [] }) =>
              accounts.length > 0 ? (
                <AccountTable accounts={accounts} titles={titles} />
              ) : (
                <Empty title="There are no accounts here yet.">
                  Open one with <code>scrip account open NAME --plan PLAN</code>, or fill this
                  service with <code>npm run demo -- --address HOST:PORT</code>.
                </Empty>
              )
            }
          </Loaded>
        ) : (
          <Empty title="Your role does not list accounts.">
            Search for the one that you want to see: upper and lower case differ.
          </Empty>
        )}
        <PageButtons pages={pages} />
      </Section>
    </>
  );
};

const PlanFilter = ({
  planId,
  plans,
}: {
  readonly planId: string;
  readonly plans: readonly Plan[];
}) => (
  <label class="filter">
    Plan{' '}
    <select
      value={planId}
      onChange={(event) => navigate(hrefOf([], { plan: event.currentTarget.value }))}
    >
      <option value="">all</option>
      {plans.map((plan) => (
        <option key={plan.planId} value={plan.planId}>
          {plan.title || plan.planId}
        </option>
      ))}
    </select>
  </label>
);

const AccountTable = ({
  accounts,
  titles,
}: {
  readonly accounts: readonly Account[];
  readonly titles: ReadonlyMap<string, string>;
}) => (
  <Table
    caption={counted(accounts.length, 'account')}
    rows={accounts}
    keyOf={({ accountId }) => accountId ?? ''}
    columns={[
      {
        title: 'Account',
        isHead: true,
        cell: ({ accountId = '' }) => (
          <Id value={accountId} href={hrefOf(['accounts', accountId])} />
        ),
      },
      {
        title: 'Name',
        isUsed: ({ displayName }) => Boolean(displayName),
        cell: ({ displayName }) => displayName,
      },
      {
        title: 'Plan',
        cell: ({ planId = '' }) => (
          <Link to={['plans', planId]}>{titles.get(planId) || planId}</Link>
        ),
      },
      {
        title: 'State',
        cell: ({ state }) => <AccountState state={state} />,
      },
      {
        title: (
          <>
            Opened <ZoneName />
          </>
        ),
        name: 'Opened',
        cell: ({ openedAt }) => <At at={openedAt} />,
      },
    ]}
  />
);
