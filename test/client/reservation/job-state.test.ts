/** What is left to do for a job is told by its records alone, wherever the process that wrote them died. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  applyRecord,
  compactRecords,
  type JobState,
  jobsOf,
  nextStep,
  type Step,
  startState,
} from '../../../clients/typescript/src/reservation/job-state.ts';
import {
  fromLine,
  type JournalRecord,
  toLine,
} from '../../../clients/typescript/src/reservation/journal-record.ts';

const job = 'job';
const start = {
  type: 'reserve',
  job,
  account: 'acct',
  reference: '',
  at: '2026-11-09T10:30:00.000Z',
  request: 'reserve',
} as const;
const reserved = { type: 'reserved', job, reservationId: 'r' } as const;
const part = (requestId: string) => ({ type: 'part', job, requestId, request: 'part' }) as const;
const partSettled = (requestId: string) => ({ type: 'partSettled', job, requestId }) as const;
const commit = { type: 'commit', job, request: 'commit' } as const;
const unreserved = { type: 'unreserved', job, limit: '10' } as const;
const use = { type: 'use', job, requestId: 'job', amount: 'use' } as const;
const end = { type: 'end', job, outcome: 'charged', charged: '3' } as const;

const stateOf = (records: readonly JournalRecord[]): JobState =>
  records.reduce(applyRecord, startState(start));

describe('the next step', () => {
  const cases: readonly [string, readonly JournalRecord[], Step][] = [
    ['a reservation that may have been made is looked for', [], { do: 'find', request: 'reserve' }],
    ['one without a decision is given back', [reserved], { do: 'release', reservationId: 'r' }],
    [
      'a decided part is committed',
      [reserved, part('1')],
      { do: 'commitPart', requestId: '1', request: 'part' },
    ],
    [
      'parts come before the final commit',
      [reserved, part('1'), part('2'), partSettled('1'), commit],
      { do: 'commitPart', requestId: '2', request: 'part' },
    ],
    ['a decided commit is made', [reserved, commit], { do: 'commit', request: 'commit' }],
    [
      'also where the record of the reservation was lost',
      [commit],
      { do: 'commit', request: 'commit' },
    ],
    [
      'what a refused commit leaves is given back',
      [reserved, commit, { type: 'commitRefused', job, reason: 'EXCEEDS_RESERVATION' }],
      { do: 'release', reservationId: 'r' },
    ],
    ['without a reservation nothing is left', [{ type: 'notReserved', job }], { do: 'end' }],
    [
      'a reservation that was made after all goes back before unreserved work is charged',
      [unreserved, use],
      { do: 'find', request: 'reserve' },
    ],
    [
      'unreserved work is priced',
      [unreserved, use, reserved, { type: 'released', job }],
      { do: 'price', uses: ['use'], limit: 10n },
    ],
    [
      'unreserved work is charged as it was priced',
      [unreserved, use, { type: 'notReserved', job }, { type: 'charge', job, request: 'charge' }],
      { do: 'charge', request: 'charge' },
    ],
    [
      'unreserved work that failed costs nothing',
      [unreserved, { type: 'notReserved', job }],
      { do: 'end' },
    ],
    ['a job that has ended has nothing left', [reserved, commit, end], { do: 'nothing' }],
  ];
  test.each(cases)('%s', (_, records, step) => {
    expect(nextStep(stateOf(records))).toEqual(step);
    // Whoever takes over may find the same records twice.
    expect(nextStep(stateOf([...records, start, ...records]))).toEqual(step);
  });
});

test('compaction drops jobs that have ended and parts that were answered, and nothing else', () => {
  expect(compactRecords([start, reserved, commit, end])).toEqual([]);
  const kept = [start, reserved, part('2'), commit];
  expect(compactRecords([start, reserved, part('1'), part('2'), partSettled('1'), commit])).toEqual(
    kept,
  );
  expect(compactRecords(kept)).toEqual(kept);
  const refused = { ...partSettled('1'), refused: 'RESERVATION_EXPIRED' };
  expect(compactRecords([start, reserved, part('1'), refused])).toEqual([start, reserved, refused]);
});

test('a line that was cut off anywhere is no record', () => {
  const line = toLine(part('1'));
  expect(fromLine(line)).toEqual(part('1'));
  for (let length = 0; length < line.length - 1; length++)
    expect(fromLine(line.slice(0, length)), line.slice(0, length)).toBeNull();
});

/** A service that does each request id once, and forgets nothing. */
class Service {
  readonly charges = new Map<string, number>();
  isHeld = false;
  wasMade = false;

  answer(step: Step): JournalRecord {
    switch (step.do) {
      case 'find':
        return this.wasMade ? reserved : { type: 'notReserved', job };
      case 'commitPart':
        this.#charge(step.requestId, 'commit');
        return partSettled(step.requestId);
      case 'commit':
        this.#charge('commit', 'commit');
        this.isHeld = false;
        return end;
      case 'release':
        this.isHeld = false;
        return { type: 'end', job, outcome: 'released', charged: '0' };
      case 'price':
        return { type: 'charge', job, request: 'charge' };
      case 'charge':
        this.#charge('charge', 'charge');
        return end;
      default:
        return { type: 'end', job, outcome: 'released', charged: '0' };
    }
  }

  #charge(id: string, by: 'commit' | 'charge') {
    if (this.charges.has(id)) return;
    if (by === 'commit' && !this.isHeld) throw new Error(`${id} came after the end`);
    this.charges.set(id, 1);
  }
}

test('whatever was decided is charged once and the rest goes back, wherever processes die', () => {
  fc.assert(
    fc.property(
      fc.record({
        wasMade: fc.boolean(),
        parts: fc.integer({ min: 0, max: 3 }),
        succeeded: fc.boolean(),
        isReservationKnown: fc.boolean(),
      }),
      // After each answer: whether the process dies before its record is written.
      fc.infiniteStream(fc.boolean()),
      ({ wasMade, parts, succeeded, isReservationKnown }, deaths) => {
        const service = new Service();
        service.wasMade = wasMade || parts > 0 || succeeded;
        service.isHeld = service.wasMade;
        const records: JournalRecord[] = [start];
        if (service.wasMade && isReservationKnown) records.push(reserved);
        const ids = Array.from({ length: parts }, (_, index) => String(index));
        records.push(...ids.map(part));
        if (succeeded) records.push(commit);

        for (let lives = 0; lives < 50; lives++) {
          let state = jobsOf(records).get(job)!;
          let died = false;
          while (!died && nextStep(state).do !== 'nothing') {
            const record = service.answer(nextStep(state));
            died = lives < 40 && deaths.next().value === true;
            if (!died) {
              records.push(record);
              state = applyRecord(state, record);
            }
          }
        }
        expect(nextStep(jobsOf(records).get(job)!).do).toBe('nothing');
        expect([...service.charges.keys()]).toEqual([...ids, ...(succeeded ? ['commit'] : [])]);
        expect(service.isHeld).toBe(false);
      },
    ),
  );
});
