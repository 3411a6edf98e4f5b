/** How commands end. docs/cli.md shows them as one table, which is written from here. */

/** The answer is no: nothing was found, files are invalid or differ, clocks disagree, the audit or the doctor found something. */
export const NOT_FOUND = 1;
export const INVALID_FILE = NOT_FOUND;
export const DIFFERENT = NOT_FOUND;
export const DISCREPANCY = NOT_FOUND;
export const UNWELL = NOT_FOUND;

/** It could not run: wrong arguments, a file or a database that cannot be read. */
export const FAILED = 2;

export const NO_ANSWER = 3;
export const REFUSED = 4;

/** Several charges have the id, and none is picked. */
export const AMBIGUOUS = 5;

export const NOT_ENOUGH_CREDITS = 6;

/** By convention of the shells. */
export const INTERRUPTED = 130;

/** What each of them tells. */
export const MEANINGS: readonly (readonly [code: number, meaning: string])[] = [
  [0, 'done, or found'],
  [
    NOT_FOUND,
    'the answer is no: not found; a file is invalid or differs; the audit or clocks disagree; the doctor finds an error',
  ],
  [FAILED, 'it could not run: wrong usage, or a file or database that cannot be read'],
  [NO_ANSWER, 'no service answers'],
  [REFUSED, 'the service refuses the call'],
  [AMBIGUOUS, 'several charges have the id'],
  [NOT_ENOUGH_CREDITS, 'the account has not enough credits'],
  [INTERRUPTED, 'interrupted'],
];
