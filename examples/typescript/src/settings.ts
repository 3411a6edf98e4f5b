/** Where the service is, and who calls: the SCRIP_ variables of the environment. */
import { readFile } from 'node:fs/promises';
import type { ConnectOptions } from '@scrip/client';

export type Settings = {
  readonly address: string;
  /** The CA of the service. Not set: plain text. */
  readonly caFile: string | undefined;
  /** A certificate that names the caller, and its key. */
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  /** A bearer token that names the caller. */
  readonly tokenFile: string | undefined;
};

/** Throws if the address is not set. */
export function settingsFromEnvironment(): Settings {
  const variable = (name: string) => process.env[name] || undefined;
  const address = variable('SCRIP_ADDRESS');
  if (address === undefined) throw new Error('SCRIP_ADDRESS is not set');
  return {
    address,
    caFile: variable('SCRIP_CA_FILE'),
    certFile: variable('SCRIP_CERT_FILE'),
    keyFile: variable('SCRIP_KEY_FILE'),
    tokenFile: variable('SCRIP_TOKEN_FILE'),
  };
}

/** Options of `connect`, which throws if they contradict each other. */
export function connectOptions(settings: Settings): ConnectOptions {
  const { address, caFile, certFile, keyFile, tokenFile } = settings;
  if (caFile === undefined) {
    if (certFile === undefined && keyFile === undefined && tokenFile === undefined)
      return { address };
    throw new Error('a certificate or token needs SCRIP_CA_FILE');
  }
  return {
    address,
    tls: {
      caFile,
      ...(certFile !== undefined && { certificateFile: certFile }),
      ...(keyFile !== undefined && { keyFile }),
    },
    // The file is read for each call: Kubernetes renews it.
    ...(tokenFile !== undefined && {
      token: async () => (await readFile(tokenFile, 'utf8')).trim(),
    }),
  };
}
