/** Calls whose requests and answers can be lost, or whose process can end, at a chosen moment. */
import { status } from '@grpc/grpc-js';
import { ScripError } from '../../../clients/typescript/src/index.ts';
import type { ReservationCalls } from '../../../clients/typescript/src/reservation/settle.ts';

export type Method = keyof ReservationCalls;

/** Before the request is sent, or after it was answered. What it throws is the outcome of the call. */
export type Fault = (method: Method, moment: 'before' | 'after') => void | Promise<void>;

/** A job of a test may wait for its faults for a short time only, and for the service for as long as it takes. */
const PATIENT_MS = 60_000;

export function faultyCalls(billing: ReservationCalls, fault: Fault): ReservationCalls {
  const methods: readonly Method[] = [
    'reserve',
    'commit',
    'release',
    'charge',
    'estimate',
    'extendReservation',
  ];
  const faulty = methods.map((method) => {
    const send = billing[method] as (request: object, options?: object) => Promise<unknown>;
    return [
      method,
      async (request: object, options?: object) => {
        await fault(method, 'before');
        const answer = await send(request, { ...options, timeoutMs: PATIENT_MS });
        await fault(method, 'after');
        return answer;
      },
    ];
  });
  return Object.fromEntries(faulty);
}

/** What the client says once the deadline has passed without an answer. */
export const lost = (): ScripError =>
  new ScripError({
    code: status.UNAVAILABLE,
    message: 'the connection was lost',
    reason: '',
    metadata: {},
    violations: [],
    retryAfterMs: undefined,
    outcome: 'unknown',
    cause: undefined,
  });
