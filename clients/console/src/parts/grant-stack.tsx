/**
 * The credits that are left, as grants in a row: the left one burns first. A mark shows what is left when the
 * balance becomes low: what is left of the mark can be spent before that.
 */
import { big, credits, percentOf } from '../format.ts';
import type { Balance, Grant } from '../messages.ts';

export const categoryClass = (grant: Grant): string =>
  `grant-${(grant.category ?? '').replace('CATEGORY_', '').toLowerCase()}`;

/** More are not to be told apart. */
const SHOWN = 40;

export const GrantStack = ({
  balance,
  grants,
}: {
  readonly balance: Balance;
  readonly grants: readonly Grant[];
}) => {
  const total = grants.reduce((sum, grant) => sum + big(grant.remaining), 0n);
  const marks = (balance.levels ?? []).map(({ threshold, percent, low }) => ({
    threshold: big(threshold),
    percent,
    low: low === true,
  }));
  const whole = marks.reduce((most, { threshold }) => (threshold > most ? threshold : most), total);
  if (whole === 0n) return null;
  const rest = grants.slice(SHOWN).reduce((sum, grant) => sum + big(grant.remaining), 0n);
  const text = grants
    .slice(0, SHOWN)
    .map(({ grantId, remaining }) => `grant ${grantId}: ${credits(remaining)}`)
    .join(', ');
  return (
    <div class="stack">
      <div class="stack-ends" aria-hidden="true">
        <span>← burns first</span>
        <span>burns last</span>
      </div>
      <div class="stack-bar" role="img" aria-label={`Credits by grant, in burn order. ${text}`}>
        <span class="stack-spent" style={{ flexBasis: `${percentOf(whole - total, whole)}%` }} />
        {grants.slice(0, SHOWN).map((grant) => {
          const { grantId, remaining, reserved } = grant;
          const width = percentOf(big(remaining), whole);
          const held = percentOf(big(reserved), big(remaining));
          return (
            <span
              key={grantId}
              class={`stack-grant ${categoryClass(grant)}`}
              style={{ flexBasis: `${width}%` }}
              title={`Grant ${grantId}: ${credits(remaining)} left, ${credits(reserved)} reserved`}
            >
              {held > 0 && <span class="stack-held" style={{ width: `${held}%` }} />}
              {width > 6 && <span class="stack-label">#{grantId}</span>}
            </span>
          );
        })}
        {rest > 0n && (
          <span
            class="stack-grant grant-more"
            style={{ flexBasis: `${percentOf(rest, whole)}%` }}
            title={`${grants.length - SHOWN} more grants: ${credits(rest)} left`}
          />
        )}
        {marks.map(({ threshold, low }) => (
          <span
            key={String(threshold)}
            class={low ? 'stack-mark is-low' : 'stack-mark'}
            style={{ right: `${percentOf(threshold, whole)}%` }}
          />
        ))}
      </div>
      {marks.length > 0 && (
        <ul class="stack-levels">
          {marks.map(({ threshold, percent, low }) => (
            <li key={String(threshold)}>
              <span class={low ? 'stack-key is-low' : 'stack-key'} aria-hidden="true" />
              low below {credits(threshold)}
              {percent ? ` (${percent} %)` : ''}: {low ? 'it is low' : 'not reached'}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
};
