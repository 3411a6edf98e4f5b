/** The parts of an amount by grant: "#1 40 · #3 2 · overage 5". */
import { credits } from '../format.ts';
import type { Entry } from '../messages.ts';
import { Digits } from './basics.tsx';
import { partsOf } from './entry.ts';

export const Split = ({ entry }: { readonly entry: Entry }) => {
  const parts = partsOf(entry);
  if (parts.length === 0) return null;
  return (
    <ul class="split">
      {parts.map(({ grantId, credits: amount }) => (
        <li key={grantId ?? 'overage'}>
          <span class="faint">{grantId === null ? 'overage' : `#${grantId}`}</span>{' '}
          <Digits text={credits(amount)} />
        </li>
      ))}
    </ul>
  );
};
