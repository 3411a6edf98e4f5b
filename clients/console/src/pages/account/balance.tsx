/** The balance: what can be spent, from which grants, and what happens next. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { VoidAction } from '../../actions/void.tsx';
import { call } from '../../api.ts';
import { big, counted, credits, percentOf } from '../../format.ts';
import type { Account, Balance as BalanceMessage, Grant } from '../../messages.ts';
import { At, Badge, Digits, Empty, Fact, Facts, Loaded, Section } from '../../parts/basics.tsx';
import { GrantStack } from '../../parts/grant-stack.tsx';
import { GrantTable } from '../../parts/grant-table.tsx';
import { PageButtons } from '../../parts/page-buttons.tsx';
import { usePages } from '../../parts/pages.ts';
import { hrefOf } from '../../router.tsx';
import { useMay } from '../../state.ts';
import type { AccountNow } from './account.tsx';

export const Balance = ({
  now,
  onReload,
}: {
  readonly now: AccountNow;
  readonly onReload: () => void;
}) => {
  const [voiding, setVoiding] = useState<Grant | null>(null);
  const onVoid = useMay('VoidGrant') ? setVoiding : undefined;
  const accountId = now.account.accountId ?? '';
  const { account, balance, grants } = now;
  const next = grants.find(({ remaining, reserved }) => big(remaining) > big(reserved));
  return (
    <>
      <Figures balance={balance} />
      <Section title="Grants" aside={<span class="faint">in the order in which they burn</span>}>
        {grants.length > 0 ? (
          <>
            <GrantStack balance={balance} grants={grants} />
            <GrantTable
              caption="Grants with credits left, in burn order"
              grants={grants}
              next={next?.grantId}
              onVoid={onVoid}
            />
          </>
        ) : (
          <Empty title="No grant has credits left.">
            The account gets credits by a purchase, by the allowance of its plan, or by a grant.
          </Empty>
        )}
        <AllGrants accountId={accountId} seq={balance.seq} onVoid={onVoid} />
      </Section>
      <Section title="What is to come, and limits">
        <Limits account={account} balance={balance} />
      </Section>
      {voiding && (
        <VoidAction
          accountId={accountId}
          grant={voiding}
          onClose={() => setVoiding(null)}
          onDone={onReload}
        />
      )}
    </>
  );
};

const Figure = ({
  name,
  value,
  tone = '',
  children,
}: {
  readonly name: string;
  readonly value: string;
  readonly tone?: string;
  readonly children?: ComponentChildren;
}) => (
  <div class={`figure ${tone}`}>
    <dt>{name}</dt>
    <dd>
      <span class="figure-value">
        <Digits text={value} />
      </span>
      {children && <span class="figure-note">{children}</span>}
    </dd>
  </div>
);

const Figures = ({ balance }: { readonly balance: BalanceMessage }) => {
  const { available, reserved, remaining, usable, limited = [] } = balance;
  const overageLimit = big(balance.overageLimit);
  return (
    <dl class="figures">
      <Figure
        name="Available"
        value={credits(available)}
        tone={balance.lowBalance ? 'is-low' : 'main'}
      >
        {balance.lowBalance ? <Badge tone="warn">low balance</Badge> : 'the next call can take it'}
      </Figure>
      <Figure name="Reserved" value={credits(reserved)}>
        by active reservations
      </Figure>
      <Figure name="Remaining" value={credits(remaining)}>
        {usable !== remaining && big(usable) !== big(remaining)
          ? `${credits(usable)} usable for every operation`
          : 'unspent, of all grants'}
      </Figure>
      {overageLimit > 0n && (
        <Figure name="Overage this month" value={credits(balance.overage)}>
          <span class="meter" aria-hidden="true">
            <span
              class="grant-overage"
              style={{ width: `${percentOf(big(balance.overage), overageLimit)}%` }}
            />
          </span>
          of {credits(overageLimit)} allowed
        </Figure>
      )}
      {big(balance.owed) > 0n && (
        <Figure name="Owed" value={credits(balance.owed)} tone="is-low">
          charged, and paid by nothing yet
        </Figure>
      )}
      {limited.map(({ operations = [], available: limitedAvailable, reserved: held }) => (
        <Figure
          key={operations.join()}
          name={`Only for ${operations.join(', ')}`}
          value={credits(limitedAvailable)}
        >
          {big(held) > 0n ? `and ${credits(held)} reserved` : 'available'}
        </Figure>
      ))}
    </dl>
  );
};

const Limits = ({
  account,
  balance,
}: {
  readonly account: Account;
  readonly balance: BalanceMessage;
}) => {
  const { nextExpiry, nextAllowance, levels = [], pauseFloor } = balance;
  const { autoTopUp } = account;
  return (
    <Facts>
      <Fact name="Next expiry">
        {nextExpiry ? (
          <>
            {counted(nextExpiry.credits, 'credit')} <At at={nextExpiry.expiresAt} />
          </>
        ) : (
          'none'
        )}
      </Fact>
      <Fact name="Next allowance">
        {nextAllowance ? (
          <>
            {counted(nextAllowance.credits, 'credit')} <At at={nextAllowance.dueAt} />
          </>
        ) : (
          'none'
        )}
      </Fact>
      <Fact name="Low-balance levels">
        {levels.length === 0
          ? 'none'
          : levels
              .map(
                ({ threshold, percent }) => credits(threshold) + (percent ? ` (${percent} %)` : ''),
              )
              .join(', ')}
        {account.ownLowBalanceLevels && <span class="faint"> of its own</span>}
      </Fact>
      <Fact name="Pause floor">
        {big(pauseFloor) > 0n ? credits(pauseFloor) : 'none'}
        {account.ownPauseFloor !== undefined && <span class="faint"> of its own</span>}
      </Fact>
      <Fact name="Auto top-up">
        {autoTopUp
          ? `pack ${autoTopUp.packId} below ${credits(autoTopUp.threshold)}, at most ${autoTopUp.monthlyCap} a month`
          : 'off'}
        {account.topUpDueAt && (
          <>
            ; due <At at={account.topUpDueAt} />
          </>
        )}
      </Fact>
      <Fact name="As of">
        <At at={balance.asOf} /> <span class="faint">entry</span>{' '}
        {big(balance.seq) > 0n ? (
          <a href={hrefOf(['accounts', account.accountId ?? '', 'history'])}>
            {credits(balance.seq)}
          </a>
        ) : (
          'none'
        )}
      </Fact>
    </Facts>
  );
};

const PAGE_SIZE = 50;

const AllGrants = ({
  accountId,
  seq,
  onVoid,
}: {
  readonly accountId: string;
  /** The newest entry: with another one the grants are read again. */
  readonly seq: string | undefined;
  readonly onVoid: ((grant: Grant) => void) | undefined;
}) => {
  const [isOpen, setOpen] = useState(false);
  const may = useMay('ListGrants');
  const pages = usePages(isOpen ? `grants ${accountId} ${seq}` : null, (pageToken, signal) =>
    call('ListGrants', { accountId, pageToken, pageSize: PAGE_SIZE }, signal),
  );
  if (!may) return null;
  return (
    <details class="more" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>All grants, with those that are spent or expired</summary>
      {isOpen && (
        <Loaded read={pages.read}>
          {({ grants = [] }) => (
            <GrantTable
              caption="All grants, newest first"
              grants={grants}
              withState
              onVoid={onVoid}
            />
          )}
        </Loaded>
      )}
      <PageButtons pages={pages} />
    </details>
  );
};
