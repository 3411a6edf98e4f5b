/** The present time, for everything that decides or stores by it. Tests give a clock of their own. */
import { Failure } from '../failure.ts';

export type Clock = {
  /** Epoch milliseconds. Throws a Failure, CLOCK_UNRELIABLE, while no time can be trusted. */
  now(): number;
  /**
   * Whether the clocks agree. Only then may something be done that time alone asks for and that cannot be
   * undone: an expiry, an allowance, the closing of a statement, a top-up.
   */
  readonly isReliable: boolean;
};

export const clockUnreliable = (): Failure =>
  new Failure(
    'CLOCK_UNRELIABLE',
    'the clocks of this replica and the database disagree; retry with the same request id, here later or ' +
      'on another replica',
  );
