/** The audit has lists of its own: it must not follow a mistake of the ledger. They are compared here. */
import { expect, test } from 'vitest';
import { PERSONAL_EVENT_TYPES } from '../../src/ledger/event.ts';
import { ERASED_EVENTS } from '../../src/verify/erasure.ts';

test('the audit expects the data of exactly those events to be erased that are erased', () => {
  expect([...ERASED_EVENTS].sort()).toEqual([...PERSONAL_EVENT_TYPES].sort());
});
