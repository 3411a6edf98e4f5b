/** Shows on the terminal what is being measured, and each figure when it is known. */
import type { Case } from './cases.ts';
import type { Measured } from './measure.ts';

export class Progress {
  readonly #begun = performance.now();
  readonly #live = process.stdout.isTTY === true;

  /** Shows the current activity. Without a terminal only figures are written. */
  doing(phase: string, what: string) {
    if (this.#live) process.stdout.write(`\r\x1b[K${this.#at()}  ${phase}: ${what} …`);
  }

  measured({ title, unit }: Pick<Case, 'title' | 'unit'>, { perSecond, latencyMs }: Measured) {
    const rate = `${Math.round(perSecond).toLocaleString('en')} ${unit}s/s`.replace(
      'ys/s',
      'ies/s',
    );
    this.say(
      `${title.padEnd(44)} ${rate.padStart(20)}   p50 ${ms(latencyMs.p50)}   p99 ${ms(latencyMs.p99)}`,
    );
  }

  say(text: string) {
    process.stdout.write(`${this.#live ? '\r\x1b[K' : ''}${this.#at()}  ${text}\n`);
  }

  #at(): string {
    const seconds = Math.floor((performance.now() - this.#begun) / 1000);
    return `${String(Math.floor(seconds / 60)).padStart(2)}:${String(seconds % 60).padStart(2, '0')}`;
  }
}

/** Milliseconds in at most seven characters. */
export const ms = (value: number): string =>
  `${value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0)} ms`.padStart(
    8,
  );
