/** An account: who it is, and a tab for each thing that it has. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { GrantAction } from '../../actions/grant.tsx';
import { call, readCellOf } from '../../api.ts';
import type {
  Account as AccountMessage,
  Balance as BalanceMessage,
  Grant,
  ShadowMode,
  Suspension,
} from '../../messages.ts';
import { AccountState } from '../../parts/account-state.tsx';
import { At, Empty, Fact, Facts, Id, Loaded } from '../../parts/basics.tsx';
import { runningText } from '../../parts/entry-note.tsx';
import { Tabs } from '../../parts/tabs.tsx';
import { Link, type Place } from '../../router.tsx';
import { useMay, useSession, useShared } from '../../state.ts';
import { type Read, useRead } from '../../use-read.ts';
import { Balance } from './balance.tsx';
import { History } from './history.tsx';
import { Purchases } from './purchases.tsx';
import { Reservations } from './reservations.tsx';
import { Statements } from './statements.tsx';

const TABS = [
  { name: 'balance', title: 'Balance' },
  { name: 'history', title: 'History' },
  { name: 'reservations', title: 'Reservations' },
  { name: 'purchases', title: 'Purchases' },
  { name: 'statements', title: 'Statements' },
];

export type AccountNow = {
  readonly account: AccountMessage;
  readonly balance: BalanceMessage;
  /** Those with credits left, in burn order. */
  readonly grants: readonly Grant[];
};

async function readAccount(accountId: string, signal: AbortSignal): Promise<AccountNow> {
  const [{ account = {} }, { balance = {}, grants = [] }] = await Promise.all([
    call('GetAccount', { accountId }, signal),
    call('GetBalance', { accountId, includeGrants: true }, signal),
  ]);
  return { account, balance, grants };
}

export const Account = ({ place }: { readonly place: Place }) => {
  const [, accountId = '', tab = 'balance', ...others] = place.segments;
  const isKnown = TABS.some(({ name }) => name === tab) && others.length === 0;
  const { refresh } = useShared();
  const read = useRead(`account ${accountId}`, (signal) => readAccount(accountId, signal));
  const reload = () => {
    read.reload();
    refresh();
  };
  return (
    <>
      <Head accountId={accountId} read={read} onChanged={reload} />
      <Tabs
        label="Parts of the account"
        base={['accounts', accountId]}
        tabs={TABS}
        current={isKnown ? tab : ''}
      />
      {isKnown ? (
        <div id="tab-panel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
          <Loaded read={read} lines={10}>
            {(now) => <Panel tab={tab} now={now} place={place} onReload={reload} />}
          </Loaded>
        </div>
      ) : (
        <Empty title="There is no such page of an account.">
          Choose a part above. The page of an entry is found by the search: account/17.
        </Empty>
      )}
    </>
  );
};

const Head = ({
  accountId,
  read,
  onChanged,
}: {
  readonly accountId: string;
  readonly read: Read<AccountNow>;
  readonly onChanged: () => void;
}) => {
  const mayGrant = useMay('GrantCredits');
  const [isGranting, setGranting] = useState(false);
  const account = read.data?.account;
  const isOpen = account !== undefined && account.state !== 'STATE_CLOSED';
  return (
    <header class="page-head">
      <div class="page-title">
        <h1 tabIndex={-1}>
          <span class="kind">Account</span> <Id value={accountId} />
        </h1>
        {account && <AccountState state={account.state} />}
        <span class="page-actions">
          <button type="button" onClick={read.reload} disabled={read.isLoading}>
            Reload
          </button>
          {mayGrant && read.data && isOpen && (
            <button type="button" class="primary" onClick={() => setGranting(true)}>
              Grant credits…
            </button>
          )}
        </span>
      </div>
      {account?.suspension && <Suspended suspension={account.suspension} />}
      {account?.shadowMode && !account.shadowMode.until && (
        <InShadowMode mode={account.shadowMode} />
      )}
      <HeadFacts accountId={accountId} account={account} />
      {isGranting && read.data && (
        <GrantAction
          account={read.data.account}
          onClose={() => setGranting(false)}
          onDone={onChanged}
        />
      )}
    </header>
  );
};

const Suspended = ({ suspension }: { readonly suspension: Suspension }) => {
  const { since, reason, caller, running } = suspension;
  return (
    <div class="notice notice-warn">
      <p class="notice-title">
        Suspended since <At at={since} /> by {caller}
      </p>
      {reason && (
        <p>
          <q>{reason}</q>
        </p>
      )}
      <p>New work is refused; {runningText(running === 'RUNNING_WORK_STOP')}.</p>
    </div>
  );
};

const InShadowMode = ({ mode: { since, caller } }: { readonly mode: ShadowMode }) => (
  <div class="notice notice-warn">
    <p class="notice-title">
      In shadow mode since <At at={since} /> by {caller}
    </p>
    <p>Another system charges: what is used here is recorded, and moves no credits.</p>
  </div>
);

const HeadFacts = ({
  accountId,
  account,
}: {
  readonly accountId: string;
  readonly account: AccountMessage | undefined;
}) => (
  <Facts>
    <Fact name="Plan">
      {account ? <Link to={['plans', account.planId ?? '']}>{account.planId}</Link> : <Dash />}
    </Fact>
    <Fact name="Opened">{account ? <At at={account.openedAt} /> : <Dash />}</Fact>
    <CellFact accountId={accountId} />
    {account?.timeZone !== 'UTC' && account && <Fact name="Time zone">{account.timeZone}</Fact>}
    {account?.displayName && <Fact name="Name">{account.displayName}</Fact>}
    {account?.closedAt && (
      <Fact name="Closed">
        <At at={account.closedAt} />
      </Fact>
    )}
    {Object.entries(account?.labels ?? {}).map(([name, value]) => (
      <Fact key={name} name={name}>
        {value}
      </Fact>
    ))}
  </Facts>
);

/** Also of an account that cannot be read: its cell may be why. */
const CellFact = ({ accountId }: { readonly accountId: string }) => {
  const { cells } = useSession();
  const isAsked = cells !== null && cells > 1;
  const read = useRead(isAsked ? `cell ${accountId}` : null, (signal) =>
    readCellOf(accountId, signal),
  );
  return read.data ? <Fact name="Cell">{read.data}</Fact> : null;
};

const Dash = () => <span class="faint">…</span>;

const Panel = ({
  tab,
  now,
  place,
  onReload,
}: {
  readonly tab: string;
  readonly now: AccountNow;
  readonly place: Place;
  readonly onReload: () => void;
}): ComponentChildren => {
  switch (tab) {
    case 'history':
      return <History now={now} place={place} />;
    case 'reservations':
      return <Reservations now={now} onReload={onReload} />;
    case 'purchases':
      return <Purchases now={now} />;
    case 'statements':
      return <Statements now={now} place={place} />;
    default:
      return <Balance now={now} onReload={onReload} />;
  }
};
