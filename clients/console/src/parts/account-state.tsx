/** The state of an account, as a badge. */
import { words } from '../format.ts';
import { Badge, type Tone } from './basics.tsx';

const TONES: Readonly<Record<string, Tone>> = { STATE_OPEN: 'good', STATE_SUSPENDED: 'warn' };

export const AccountState = ({ state = '' }: { readonly state: string | undefined }) => (
  <Badge tone={TONES[state] ?? 'plain'}>{words(state, 'STATE')}</Badge>
);
