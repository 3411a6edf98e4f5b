/** What commands show to the service that they call, from environment variables that name files. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { ConnectOptions } from './client.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Without SCRIP_CA_FILE the service is called in plain text. `caller` counts where it authenticates nobody. */
export function connectOptions(environment: Environment, caller: string): ConnectOptions {
  const {
    SCRIP_CA_FILE: ca,
    SCRIP_CERT_FILE: certificate,
    SCRIP_KEY_FILE: key,
    SCRIP_TOKEN_FILE: token,
  } = environment;
  if ((certificate || key) && !(ca && certificate && key))
    throw new Error('SCRIP_CA_FILE, SCRIP_CERT_FILE and SCRIP_KEY_FILE are needed together');
  return {
    caller,
    ...(ca && {
      tls: {
        ca: readFileSync(ca),
        ...(certificate &&
          key && { certificate: readFileSync(certificate), key: readFileSync(key) }),
      },
    }),
    ...(token && { token: async () => (await readFile(token, 'utf8')).trim() }),
  };
}
