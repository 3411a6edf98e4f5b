/**
 * Whether a request comes from the console's own page. Pages of other sites can have a browser send requests to
 * this port: under another name for its address (DNS rebinding), or with the cookie of a person who has signed in
 * (request forgery).
 */
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { ConsoleError } from './console-error.ts';

/** A header that forms and links of other sites cannot send. */
const OWN_HEADER = 'x-scrip-console';

export type CheckedRequest = {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
};

/** `origins`: those of proxies, such as "https://scrip.example.org". Throws a ConsoleError. */
export function checkHost({ headers }: CheckedRequest, origins: readonly string[]) {
  const { host = '' } = headers;
  if (!isLocal(host) && !origins.some((origin) => new URL(origin).host === host))
    throw ConsoleError.own(
      'CONSOLE_HOST',
      'the console is not offered under this name: use localhost, an IP address or an origin of CONSOLE_ORIGINS',
    );
}

/** For requests of the page's program. Throws a ConsoleError. */
export function checkOrigin({ method, headers }: CheckedRequest, origins: readonly string[]) {
  const { host = '', origin, 'sec-fetch-site': site } = headers;
  const isOwn =
    origin === undefined
      ? // Browsers leave it out of requests that only read.
        method === 'GET'
      : origins.includes(origin) || (isLocal(host) && origin === `http://${host}`);
  if (!isOwn || (site !== undefined && site !== 'same-origin'))
    throw ConsoleError.own('CONSOLE_ORIGIN', 'the request does not come from the console');
  if (headers[OWN_HEADER] !== '1')
    throw ConsoleError.own('CONSOLE_HEADER', `the request lacks ${OWN_HEADER}: 1`);
}

/** No DNS name can be made to stand for these. Another port is one that was forwarded. */
function isLocal(host: string): boolean {
  const [, name = ''] = /^(\[[^\]]+\]|[^:]+)(?::\d{1,5})?$/.exec(host) ?? [];
  return name === 'localhost' || isIP(name.replace(/^\[|\]$/g, '')) !== 0;
}
