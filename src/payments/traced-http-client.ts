/** Stripe's HTTP client, whose requests are observed: also those that the client library repeats by itself. */
import Stripe from 'stripe';
import { monotonicMs } from '../telemetry/monotonic.ts';
import type { Observers, ProviderCall } from '../telemetry/observers.ts';
import { currentParent, failSpan, type Tracing } from '../telemetry/tracing.ts';

/** Ids of Stripe, such as "pi_3OqI5c"; the names of collections have neither digits nor capitals. */
const ID = /^[a-z]+_(?=.*[0-9A-Z])\w+$/;

export function tracedHttpClient(tracing: Tracing, observers: Observers): Stripe.HttpClient {
  const client = Stripe.createNodeHttpClient();
  const send = client.makeRequest.bind(client);
  return Object.assign(client, {
    async makeRequest(...request: Parameters<typeof send>) {
      const [host, port, path, method] = request;
      const template = templateOf(path);
      const attributes = {
        'http.request.method': method,
        'url.template': template,
        'server.address': host,
        'server.port': Number(port),
      };
      const parent = currentParent();
      const span = tracing.start('stripe', { parent, attributes }, `${method} ${template}`);
      const startedAt = monotonicMs();
      let outcome: ProviderCall['outcome'] = 'unavailable';
      try {
        const response = await send(...request);
        const status = response.getStatusCode();
        const requestId = response.getHeaders()['request-id'];
        span.setAttributes({
          'http.response.status_code': status,
          'stripe.request_id': requestId === undefined ? undefined : String(requestId),
        });
        if (isFault(status)) failSpan(span, String(status));
        else outcome = status < 400 ? 'ok' : 'refused';
        return response;
      } catch (error) {
        const { code, name } = error as NodeJS.ErrnoException;
        failSpan(span, code ?? name);
        throw error;
      } finally {
        span.end();
        const durationMs = monotonicMs() - startedAt;
        observers.providerCallEnded({ method, template, outcome, durationMs });
      }
    },
  });
}

/** A refused payment is none. */
const isFault = (status: number): boolean => status >= 500 || [401, 403, 429].includes(status);

const templateOf = (path: string): string =>
  (path.split('?')[0] ?? '')
    .split('/')
    .map((part) => (ID.test(part) ? '{id}' : part))
    .join('/');
