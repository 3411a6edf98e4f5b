/** Who did it: the caller, in whose place, and by which certificate. */
import type { Entry } from '../messages.ts';
import { Name } from './basics.tsx';

export const Who = ({
  entry: { caller, onBehalfOf, certificate },
}: {
  readonly entry: Pick<Entry, 'caller' | 'onBehalfOf' | 'certificate'>;
}) => (
  <>
    <Name>{caller}</Name>
    {onBehalfOf && (
      <>
        {' '}
        for <Name>{onBehalfOf}</Name>
      </>
    )}
    {certificate && (
      <>
        {' '}
        by <Name>{certificate}</Name>
      </>
    )}
  </>
);
