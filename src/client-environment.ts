/** What commands show to the service that they call, from environment variables that name files. */
import { readFileSync } from 'node:fs';
import type { ConnectOptions } from './client.ts';
import { unreadable } from './secret-files.ts';

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
        ca: read('SCRIP_CA_FILE', ca),
        ...(certificate &&
          key && {
            certificate: read('SCRIP_CERT_FILE', certificate),
            key: read('SCRIP_KEY_FILE', key),
          }),
      },
    }),
    // Again for each call: tokens are renewed.
    ...(token && { token: async () => read('SCRIP_TOKEN_FILE', token).toString().trim() }),
  };
}

function read(name: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Error(unreadable(name, error));
  }
}
