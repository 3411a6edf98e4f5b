/** The parts of an amount by grant: "#1 40 · #3 2 · overage 5 · owed 1". */
import { credits } from '../format.ts';
import type { Entry } from '../messages.ts';
import { Digits } from './basics.tsx';
import { partsOf, sourceText } from './entry.ts';

export const Split = ({ entry }: { readonly entry: Entry }) => {
  const parts = partsOf(entry);
  if (parts.length === 0) return null;
  return (
    <ul class="split">
      {parts.map(({ source, credits: amount }) => (
        <li key={source}>
          <span class="faint">{sourceText(source)}</span> <Digits text={credits(amount)} />
        </li>
      ))}
    </ul>
  );
};
