/** The present time in epoch milliseconds. Everything reads it through a Clock, so that tests can set it. */
export type Clock = () => number;

export const systemClock: Clock = Date.now;
