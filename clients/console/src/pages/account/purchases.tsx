/** Purchases, and what became of their credits. */
import { call } from '../../api.ts';
import { big, credits, money, percentOf, words } from '../../format.ts';
import type { Purchase } from '../../messages.ts';
import {
  Amount,
  At,
  Badge,
  Empty,
  Id,
  Loaded,
  Section,
  type Tone,
  ZoneName,
} from '../../parts/basics.tsx';
import { PageButtons } from '../../parts/page-buttons.tsx';
import { usePages } from '../../parts/pages.ts';
import { Table } from '../../parts/table.tsx';
import { hrefOf } from '../../router.tsx';
import { useMay } from '../../state.ts';
import type { AccountNow } from './account.tsx';

const PAGE_SIZE = 50;

const TONES: Readonly<Record<string, Tone>> = {
  STATE_PAID: 'good',
  STATE_PENDING: 'busy',
  STATE_FAILED: 'bad',
  STATE_MISMATCHED: 'bad',
  STATE_REJECTED: 'bad',
};

export const Purchases = ({ now }: { readonly now: AccountNow }) => {
  const may = useMay('ListPurchases');
  const accountId = now.account.accountId ?? '';
  const pages = usePages(may ? `purchases ${accountId}` : null, (pageToken, signal) =>
    call('ListPurchases', { accountId, pageToken, pageSize: PAGE_SIZE }, signal),
  );
  if (!may) return <Empty title="Your role does not list purchases." />;
  return (
    <Section title="Purchases" aside={<span class="faint">newest first</span>}>
      <Loaded read={pages.read}>
        {({ purchases = [] }) =>
          purchases.length > 0 ? (
            <PurchaseTable purchases={purchases} />
          ) : (
            <Empty title="The account has bought nothing.">
              Its plan shows the packs that it can buy.
            </Empty>
          )
        }
      </Loaded>
      <PageButtons pages={pages} />
    </Section>
  );
};

/** What refunds and disputes did to a purchase. */
const Trouble = ({ purchase }: { readonly purchase: Purchase }) => {
  const { amountRefunded, disputeState, creditsClawedBack, creditsUnrecovered, creditsOwed } =
    purchase;
  const isDisputed = disputeState && !/NONE|UNSPECIFIED/.test(disputeState);
  const texts = [
    Number(amountRefunded?.amount ?? 0) > 0 && `${money(amountRefunded)} refunded`,
    isDisputed && `dispute ${words(disputeState, 'DISPUTE_STATE')}`,
    big(creditsClawedBack) > 0n && `${credits(creditsClawedBack)} credits taken back`,
    big(creditsUnrecovered) > 0n && `${credits(creditsUnrecovered)} could not be taken back`,
    big(creditsOwed) > 0n && `${credits(creditsOwed)} of them were used, and came to be owed`,
    purchase.failureCode,
    purchase.resolution &&
      `${words(purchase.resolution.decision, 'DECISION')} by ${purchase.resolution.caller}`,
  ];
  return <>{texts.filter(Boolean).join('; ')}</>;
};

const hasTrouble = ({
  amountRefunded,
  disputeState = 'DISPUTE_STATE_NONE',
  failureCode,
  resolution,
  creditsClawedBack,
}: Purchase): boolean =>
  Number(amountRefunded?.amount ?? 0) > 0 ||
  /OPEN|WON|LOST/.test(disputeState) ||
  Boolean(failureCode || resolution) ||
  big(creditsClawedBack) > 0n;

const PurchaseTable = ({ purchases }: { readonly purchases: readonly Purchase[] }) => (
  <Table
    caption="Purchases, newest first"
    rows={purchases}
    keyOf={({ purchaseId }) => purchaseId ?? ''}
    columns={[
      {
        title: 'Purchase',
        isHead: true,
        cell: ({ purchaseId = '', accountId = '', title, packId, quantity }) => (
          <>
            {Number(quantity ?? 1) > 1 && `${quantity} × `}
            {title || packId}{' '}
            <Id
              short
              value={purchaseId}
              href={hrefOf(['charges', 'purchase', purchaseId], { account: accountId })}
            />
          </>
        ),
      },
      {
        title: 'State',
        cell: ({ state = '' }) => (
          <Badge tone={TONES[state] ?? 'plain'}>{words(state, 'STATE')}</Badge>
        ),
      },
      {
        title: (
          <>
            Made <ZoneName />
          </>
        ),
        name: 'Made',
        cell: ({ createdAt }) => <At at={createdAt} />,
      },
      { title: 'Price', isNumber: true, cell: ({ price }) => money(price) },
      { title: 'Credits', isNumber: true, cell: (purchase) => <Amount of={purchase.credits} /> },
      {
        title: 'Left',
        isNumber: true,
        cell: ({ remaining, credits: bought }) => (
          <>
            <Amount of={remaining} />
            <span class="meter" aria-hidden="true">
              <span
                class="grant-paid"
                style={{ width: `${percentOf(big(remaining), big(bought))}%` }}
              />
            </span>
          </>
        ),
      },
      {
        title: 'Credits expire',
        cell: ({ expiresAt, state }) =>
          expiresAt ? (
            <At at={expiresAt} />
          ) : (
            <span class="faint">{state === 'STATE_PAID' ? 'never' : '–'}</span>
          ),
      },
      {
        title: 'Paid by',
        cell: ({ method, paymentReference }) => (
          <>
            {words(method, 'METHOD')} <Id short value={paymentReference} />
          </>
        ),
      },
      {
        title: 'Since then',
        isUsed: hasTrouble,
        cell: (purchase) => <Trouble purchase={purchase} />,
      },
    ]}
  />
);
