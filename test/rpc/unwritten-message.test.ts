/** A reader that has gone before a message was written is no fault of the service. */
import { type ServerInterceptingCallInterface, status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { transportFailures } from '../../src/rpc/call/transport-failures.ts';

/** What grpc-js says where the write of a message fails. */
const UNWRITTEN = { code: status.INTERNAL, details: 'Internal server error', metadata: null };

test('nothing is sent to it, and nothing is observed', () => {
  const sent: unknown[] = [];
  class Call {
    checkCancelled() {
      return false;
    }
    sendStatus(answer: unknown) {
      sent.push(answer);
    }
  }
  // Observing the call would need a context.
  const intercept = transportFailures(null as never);
  const call = intercept(null as never, new Call() as unknown as ServerInterceptingCallInterface);
  call.sendStatus(UNWRITTEN as never);
  expect(sent).toEqual([]);
});
