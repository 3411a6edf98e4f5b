/** What a caller does with one call of its connection costs it no other. */
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  GetBalanceRequest,
  StreamHistoryRequest,
} from '../../src/gen/billing/v1/billing_service.ts';
import { openWithCredits } from '../accounts.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { frame } from './http2-call.ts';

const BALANCE = '/billing.v1.BillingService/GetBalance';
const HISTORY = '/billing.v1.BillingService/StreamHistory';
/** Above what Node allows by default: 1,000, and 33 more a second. */
const CANCELLED = 2_500;

let scrip: TestService;
let session: ClientHttp2Session;
beforeAll(async () => {
  scrip = await startTestService();
  session = connect(`http://127.0.0.1:${scrip.service.port}`);
});
afterAll(async () => {
  session.destroy();
  await scrip.stop();
});

function call(path: string, message: Uint8Array): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.end(frame(message));
  return stream;
}

test('thousands of cancelled calls end no other call of their connection', async () => {
  const accountId = await openWithCredits(scrip, 100n);
  const balance = GetBalanceRequest.encode(GetBalanceRequest.fromPartial({ accountId })).finish();
  const history = StreamHistoryRequest.fromPartial({ accountId, follow: true });
  const followed = call(HISTORY, StreamHistoryRequest.encode(history).finish());
  await once(followed, 'data');

  for (let count = 0; count < CANCELLED; count++) {
    const cancelled = call(BALANCE, balance);
    cancelled.close(constants.NGHTTP2_CANCEL);
    await once(cancelled, 'close');
  }

  const next = once(followed, 'data');
  await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
  await next;
  const answered = call(BALANCE, balance).resume();
  const [trailers] = await once(answered, 'trailers');
  expect(trailers['grpc-status']).toBe('0');
  expect(session.destroyed).toBe(false);
});
