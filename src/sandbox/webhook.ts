/** Webhooks as Stripe sends and signs them. */
import { createHmac, randomUUID } from 'node:crypto';

export const API_VERSION = '2026-10-28.endive';

/** The body of a webhook. `at`: epoch milliseconds. */
export const webhookBody = (type: string, object: object, at: number): string =>
  JSON.stringify({
    id: `evt_test_${randomUUID().replaceAll('-', '').slice(0, 24)}`,
    object: 'event',
    api_version: API_VERSION,
    created: Math.floor(at / 1_000),
    type,
    data: { object },
  });

/** t=<seconds>,v1=<hex HMAC-SHA256 of "<seconds>.<body>">. */
export function webhookSignature(body: string, at: number, secret: string): string {
  const seconds = Math.floor(at / 1_000);
  const mac = createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex');
  return `t=${seconds},v1=${mac}`;
}
