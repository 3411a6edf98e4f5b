/** Bodies that Stripe has signed, whatever they hold: each is answered, and none ends the service. */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { balanceOf } from '../accounts.ts';
import { SEEDS } from '../fuzz-seeds.ts';
import { startTestService, type TestService } from '../service.ts';
import { deliver, StripeFake, signatureOf } from './stripe-fake.ts';

let stripe: StripeFake;
let scrip: TestService;
beforeAll(async () => {
  stripe = await new StripeFake().start();
  scrip = await startTestService({ env: stripe.env });
});
afterAll(async () => {
  await scrip.stop();
  await stripe.stop();
});

const send = async (body: string): Promise<number> =>
  await deliver(scrip.service.webhookPort, { body, signature: signatureOf(body, scrip.now()) });

const id = fc.oneof(fc.constantFrom('', 'fuzzed', '__proto__', '\0', randomUUID()), fc.string());
const metadata = fc.oneof(
  fc.constantFrom(null, 7, [], {}),
  fc.record({ account_id: id, purchase_id: id, method: fc.constantFrom('TOP_UP', 'x') }),
  fc.record({ account_id: fc.integer() }),
);
const intent = fc.oneof(id, fc.constant(null), fc.record({ id }), fc.record({ id: fc.integer() }));
const object = fc.oneof(
  fc.constantFrom(null, 7, 'text', [], {}),
  fc.record({ id, metadata, payment_intent: intent }, { requiredKeys: [] }),
);
const event = fc.record(
  {
    id: fc.oneof(id, fc.constant(null)),
    type: fc.oneof(
      fc.constantFrom(
        'checkout.session.completed',
        'payment_intent.succeeded',
        'charge.refunded',
        'charge.dispute.created',
        'balance.available',
      ),
      fc.constantFrom(null, 7),
    ),
    data: fc.oneof(fc.record({ object }), fc.constant(null)),
  },
  { requiredKeys: [] },
);

describe.each(SEEDS)('with the seed %s', (seed) => {
  test('a signed body gets an answer that is not a bug', async () => {
    const body = fc.oneof(
      event.map((some) => JSON.stringify(some)),
      fc.json(),
      fc.constantFrom('null', '7', '""', '[]', '{', ''),
    );
    await fc.assert(
      fc.asyncProperty(body, async (some) => {
        expect([200, 400, 503], some).toContain(await send(some));
      }),
      { seed, numRuns: 150 },
    );
    await scrip.open('verts').then((accountId) => balanceOf(scrip, accountId));
  });
});
