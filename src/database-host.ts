/** Whether the certificate of a database can be compared with its host. */
import { isIP } from 'node:net';

/**
 * Whether a URL has the certificate of an IP address verified. pg compares it with "localhost" then: it refuses the
 * right certificate, and accepts any of the CA for that name.
 */
export function verifiesAddress(databaseUrl: string): boolean {
  if (!URL.canParse(databaseUrl)) return false;
  const { hostname, searchParams } = new URL(databaseUrl);
  const host = searchParams.get('host') ?? hostname.replace(/^\[(.*)\]$/, '$1');
  return isIP(host) !== 0 && verifiesHost(searchParams);
}

function verifiesHost(parameters: URLSearchParams): boolean {
  const mode = parameters.get('sslmode');
  if (mode === 'verify-full') return true;
  if (parameters.get('uselibpqcompat') === 'true') return false;
  if (mode === null) return ['true', '1'].includes(parameters.get('ssl') ?? '');
  return !['disable', 'no-verify'].includes(mode);
}
