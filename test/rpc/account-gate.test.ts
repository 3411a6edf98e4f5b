/** Which account a request is for, read from its first bytes: before it is checked and decoded. */
import { describe, expect, test } from 'vitest';
import { Admission } from '../../src/admission/admission.ts';
import { BatchRequest, ChargeRequest } from '../../src/gen/billing/v1/billing_service.ts';
import { accountGate } from '../../src/rpc/call/account-gate.ts';
import { OverloadAnswer } from '../../src/rpc/call/overload-answer.ts';
import { readDescriptors } from '../../src/rpc/descriptors.ts';
import { defined } from '../accounts.ts';

const admission = new Admission({ waitMaxMs: 1_000, inFlightMax: 100, onCongestion() {} }, () => 0);
for (let calls = 0; calls < 100; calls += 1) admission.enter('a', 'busy');
const context = { admission, overloadAnswer: new OverloadAnswer(admission) };
const gateOf = (message: string) =>
  accountGate(context, defined(readDescriptors(false).getMessage(`billing.v1.${message}`)));

describe('where no more calls are admitted, a request', () => {
  const gate = gateOf('ChargeRequest');
  test.each([1, 127, 128])('on an account whose id has %d characters is refused', (length) => {
    const request = ChargeRequest.fromPartial({ accountId: 'a'.repeat(length), requestId: 'r' });
    expect(gate(Buffer.from(ChargeRequest.encode(request).finish()))).toMatchObject({
      reason: 'OVERLOADED',
    });
  });

  test.each([
    ['has an id of 129 characters', ChargeRequest.fromPartial({ accountId: 'a'.repeat(129) })],
    ['names no account', ChargeRequest.fromPartial({ requestId: 'r' })],
    ['is empty', ChargeRequest.fromPartial({})],
  ])('that %s goes on, to be told what is wrong with it', (_, request) => {
    expect(gate(Buffer.from(ChargeRequest.encode(request).finish()))).toBeNull();
  });

  test('that is a batch goes on: its mutations are counted one by one', () => {
    const request = BatchRequest.fromPartial({ mutations: [{}] });
    expect(gateOf('BatchRequest')(Buffer.from(BatchRequest.encode(request).finish()))).toBeNull();
  });
});
