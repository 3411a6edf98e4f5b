/** The plans. */
import { call } from '../api.ts';
import { big, counted, credits, money } from '../format.ts';
import type { Plan } from '../messages.ts';
import { At, Badge, Empty, Loaded } from '../parts/basics.tsx';
import { allowanceText } from '../parts/price-text.ts';
import { Link } from '../router.tsx';
import { useRead } from '../use-read.ts';

export const Plans = () => {
  const read = useRead('plans', (signal) => call('ListPlans', {}, signal));
  return (
    <>
      <h1 tabIndex={-1}>Plans</h1>
      <Loaded read={read}>
        {({ plans = [] }) =>
          plans.length > 0 ? (
            <ul class="cards">
              {plans.map((plan) => (
                <Card key={plan.planId} plan={plan} />
              ))}
            </ul>
          ) : (
            <Empty title="No plan is published.">
              Write a plan file and publish it: <code>scrip plans publish</code>.
            </Empty>
          )
        }
      </Loaded>
    </>
  );
};

const Card = ({ plan }: { readonly plan: Plan }) => {
  const { planId = '', title, terms = {}, packs = [], upcomingRateCards = [] } = plan;
  const [cheapest] = packs;
  return (
    <li class="card">
      <h2>
        <Link to={['plans', planId]}>{title || planId}</Link>
      </h2>
      <p class="faint">
        <code>{planId}</code>
      </p>
      <p>
        {big(terms.overageLimit) > 0n
          ? `Postpaid: up to ${credits(terms.overageLimit)} credits of overage a month.`
          : 'Prepaid: no overage.'}
      </p>
      <p>
        {terms.welcome && `${counted(terms.welcome.credits, 'welcome credit')}. `}
        {terms.allowance && `${allowanceText(terms.allowance)}. `}
        {cheapest && `${counted(packs.length, 'pack')}, from ${money(cheapest.price)}.`}
      </p>
      <p>
        <Badge>rate card version {plan.rateCardVersion}</Badge>{' '}
        {upcomingRateCards.map(({ version, effectiveAt }) => (
          <span key={version}>
            <Badge tone="busy">version {version}</Badge> <At at={effectiveAt} />
          </span>
        ))}
      </p>
    </li>
  );
};
