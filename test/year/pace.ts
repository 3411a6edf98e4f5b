/** How long the simulation takes, and how much memory, month by month. */

export type MonthOfRun = {
  readonly month: string;
  readonly requests: number;
  /** By a real clock. */
  readonly ms: number;
  /** Memory of the process at its end: the simulation and the service. */
  readonly rssMb: number;
  readonly heapMb: number;
};

export class Pace {
  readonly months: MonthOfRun[] = [];
  #since = performance.now();
  #requestsBefore = 0;

  /** `requestsSoFar`: of this month and of all before it. */
  endMonth(month: string, requestsSoFar: number) {
    const now = performance.now();
    const { rss, heapUsed } = process.memoryUsage();
    this.months.push({
      month,
      requests: requestsSoFar - this.#requestsBefore,
      ms: now - this.#since,
      rssMb: rss / 2 ** 20,
      heapMb: heapUsed / 2 ** 20,
    });
    this.#since = now;
    this.#requestsBefore = requestsSoFar;
  }
}
