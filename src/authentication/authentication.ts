/** Authentication as it is configured: its parts, and what is read again while the service runs. */
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import { isLoopback } from '../loopback.ts';
import type { TokenIssuer } from '../policy/token-issuer.ts';
import { Poller } from '../poller.ts';
import { Authenticator } from './authenticator.ts';
import { TlsFiles } from './tls-files.ts';
import { Tokens } from './tokens.ts';

export type AuthenticationOptions = {
  readonly config: Config;
  readonly tokenIssuers: readonly TokenIssuer[];
  readonly log: Logger;
  /** The host's clock, in epoch milliseconds: certificates are checked by it, too. */
  readonly now: () => number;
};

export type Authentication = {
  readonly authenticator: Authenticator;
  /** Null: the port has no TLS. */
  readonly tls: TlsFiles | null;
  /** How the port is protected, for the log. */
  readonly transport: string;
  /** Replaces the issuers of tokens. Rejects, and changes nothing, if a file of keys cannot be read. */
  setTokenIssuers(issuers: readonly TokenIssuer[]): Promise<void>;
  /** Reads certificates and keys again, without waiting for the interval. Keys at URLs are fetched, too. */
  reload(): Promise<void>;
  stop(graceMs: number): Promise<void>;
};

export async function startAuthentication(options: AuthenticationOptions): Promise<Authentication> {
  const { config, tokenIssuers, log, now } = options;
  const tls = await openTls(options);
  const tokens = new Tokens({ log, now });
  await tokens.setIssuers(tokenIssuers);
  const poller = new Poller({
    name: 'reload of certificates and keys',
    intervalMs: config.TLS_RELOAD_INTERVAL_MS,
    log,
    async run() {
      await Promise.all([tls?.reload(), tokens.reloadFiles()]);
      return false;
    },
  });
  return {
    authenticator: new Authenticator({
      tokens,
      takesCertificates: Boolean(tls && config.TLS_CLIENT_CA_FILE),
      takesHeader: !tls && isLoopback(config.HOST),
    }),
    tls,
    transport: transportOf(config),
    setTokenIssuers: (issuers) => tokens.setIssuers(issuers),
    async reload() {
      await Promise.all([tls?.reload(), tokens.reload()]);
    },
    stop: (graceMs) => poller.stop(graceMs),
  };
}

/** Null where no certificate is configured. */
async function openTls({ config, log, now }: AuthenticationOptions): Promise<TlsFiles | null> {
  const { TLS_CERT_FILE: certificateFile, TLS_KEY_FILE: keyFile } = config;
  if (!certificateFile || !keyFile) return null;
  return await TlsFiles.open({
    certificateFile,
    keyFile,
    clientCaFile: config.TLS_CLIENT_CA_FILE ?? null,
    requiresClientCertificate: config.TLS_CLIENT_CERTIFICATE === 'required',
    minVersion: config.TLS_MIN_VERSION,
    log,
    now,
  });
}

function transportOf(config: Config): string {
  if (!config.TLS_CERT_FILE)
    return isLoopback(config.HOST) ? 'insecure: loopback only' : 'insecure';
  if (!config.TLS_CLIENT_CA_FILE) return 'tls';
  return config.TLS_CLIENT_CERTIFICATE === 'required'
    ? 'mutual tls'
    : 'tls, client certificates optional';
}
