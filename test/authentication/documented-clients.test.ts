/** The clients of docs/authentication.md: one with a certificate, one with a token from a file. */
import { expect, onTestFinished, test } from 'vitest';
import { type ConnectOptions, connect, type Scrip } from '../../src/client.ts';
import { snippet } from '../docs/snippets.ts';
import { callerOf } from './client.ts';
import { issuerOf } from './token-authority.ts';
import { authority, key, keys, startHere, tls } from './token-service.ts';

type Clients = { readonly withCertificate: Scrip; readonly withToken: Scrip };

/** Runs the code of the page, with what it leaves out. */
function clientsOf(surroundings: Readonly<Record<string, unknown>>): Clients {
  const code = `${snippet('docs/authentication.md', 'const with')}; return { withCertificate, withToken }`;
  const clients = new Function(...Object.keys(surroundings), code)(
    ...Object.values(surroundings),
  ) as Clients;
  onTestFinished(() => {
    clients.withCertificate.close();
    clients.withToken.close();
  });
  return clients;
}

test('the clients of the page are who they are', async () => {
  const env = {
    TLS_CLIENT_CA_FILE: tls.env['TLS_CLIENT_CA_FILE'] ?? '',
    TLS_CLIENT_CERTIFICATE: 'optional',
  };
  const { service } = await startHere([issuerOf({ url: keys.url })], { env });
  const name = 'spiffe://example.org/media/renderer';
  const { certificate, key: own } = await authority.sign({ names: [{ type: 'url', value: name }] });
  const { withCertificate, withToken } = clientsOf({
    connect: (address: string, options: ConnectOptions) => {
      expect(address).toBe('billing:50051');
      return connect(`localhost:${service.port}`, options);
    },
    ca: authority.certificate,
    certificate,
    key: own,
    readFile: async (file: string) => {
      expect(file).toBe('/var/run/scrip/token');
      return await key.sign();
    },
  });
  expect(await callerOf(withCertificate)).toBe(name);
  expect(await callerOf(withToken)).toMatch(/^\w+:/);
});
