/** The one way to ask what time it is: epoch milliseconds, UTC. Injected, so tests can set it. */
export type Clock = () => number;

export const systemClock: Clock = Date.now;
