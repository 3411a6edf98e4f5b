/** The connection: its credentials, its load balancing, and what every call shows of its caller. */
import { readFileSync } from 'node:fs';
import { BlockList, isIP } from 'node:net';
import {
  type ChannelCredentials,
  type ChannelOptions,
  credentials,
  experimental,
  type Metadata,
} from '@grpc/grpc-js';
import { type Token, type TokenLimits, tokenOf } from './token.ts';

/** TLS. The certificate of the client and its key, for mutual TLS, are given together. */
export type TlsOptions =
  | {
      /** CAs of the service, as PEM. Default: those of Node. */
      readonly ca?: string | Buffer;
      /** Certificate chain of the client and its key, as PEM. */
      readonly certificate?: string | Buffer;
      readonly key?: string | Buffer;
    }
  | {
      /** The same in files, which may be replaced while the client runs: new connections show what they hold then. */
      readonly caFile: string;
      readonly certificateFile?: string;
      readonly keyFile?: string;
    };

export type CallerOptions = {
  readonly address: string;
  readonly caller?: string | undefined;
  readonly tls?: TlsOptions | true | undefined;
  readonly token?: Token | undefined;
  readonly credentials?: ChannelCredentials | undefined;
};

const FILES_READ_EVERY_MS = 60_000;

export function channelCredentials({ tls, credentials: given }: CallerOptions): ChannelCredentials {
  if (given) return given;
  if (tls === undefined) return credentials.createInsecure();
  if (tls === true) return credentials.createSsl();
  return 'caFile' in tls ? credentialsInFiles(tls) : credentialsOf(tls);
}

function credentialsOf({ ca, certificate, key }: Exclude<TlsOptions, { caFile: string }>) {
  needTogether(certificate, key);
  const bytes = (pem: string | Buffer | undefined) => (pem === undefined ? null : Buffer.from(pem));
  return credentials.createSsl(bytes(ca), bytes(key), bytes(certificate));
}

function credentialsInFiles({
  caFile,
  certificateFile,
  keyFile,
}: Extract<TlsOptions, { caFile: string }>): ChannelCredentials {
  needTogether(certificateFile, keyFile);
  // A file that is not there is a mistake that the caller of `connect` can see at once.
  for (const file of [caFile, certificateFile, keyFile]) if (file) readFileSync(file);
  const files = new experimental.FileWatcherCertificateProvider({
    caCertificateFile: caFile,
    certificateFile,
    privateKeyFile: keyFile,
    refreshIntervalMs: FILES_READ_EVERY_MS,
  });
  return experimental.createCertificateProviderChannelCredentials(
    files,
    certificateFile === undefined ? null : files,
  );
}

function needTogether(certificate: unknown, key: unknown) {
  if ((certificate === undefined) !== (key === undefined))
    throw new TypeError('a certificate and its key are needed together');
}

/** `given` counts before these. */
export const channelOptions = (given: ChannelOptions = {}): ChannelOptions => ({
  // One connection to each address of the name, and calls in turn.
  'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  'grpc.service_config_disable_resolution': 1,
  // `call.ts` repeats.
  'grpc.enable_retries': 0,
  // A connection that is dead without a trace is found before the default deadline.
  'grpc.keepalive_time_ms': 5_000,
  'grpc.keepalive_timeout_ms': 3_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
  // After a rolling restart the name has other addresses.
  'grpc.dns_min_time_between_resolutions_ms': 1_000,
  // The service bounds its answers itself; those of a large Batch are larger than the default of grpc-js.
  'grpc.max_receive_message_length': -1,
  ...given,
});

/** Adds what every call of the client shows to the service. */
export type WithCaller = (metadata: Metadata, limits: TokenLimits) => Metadata | Promise<Metadata>;

export function withCallerOf(options: CallerOptions): WithCaller {
  const { caller, token } = options;
  if (token === undefined)
    return (metadata) => {
      if (caller !== undefined) metadata.set('x-caller', caller);
      return metadata;
    };
  if (!options.tls && !options.credentials && !isLoopback(options.address))
    throw new TypeError('a token is sent over TLS only, but to this machine: set `tls`');
  return async (metadata, limits) => {
    metadata.set('authorization', `Bearer ${await tokenOf(token, limits)}`);
    return metadata;
  };
}

const LOOPBACK = /* @__PURE__ */ loopback();

function loopback(): BlockList {
  const list = new BlockList();
  list.addSubnet('127.0.0.0', 8);
  list.addAddress('::1', 'ipv6');
  return list;
}

/** Whether every address of a target such as "localhost:50051" or "ipv4:127.0.0.1:1,127.0.0.1:2" is this machine. */
export function isLoopback(target: string): boolean {
  if (/^unix(-abstract)?:/.test(target)) return true;
  const addresses = target.replace(/^(dns:(\/\/[^/]*\/)?|ipv[46]:)/, '').split(',');
  return addresses.every((address) => {
    const host = address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
    const family = isIP(host);
    return (
      host === 'localhost' || (family !== 0 && LOOPBACK.check(host, family === 6 ? 'ipv6' : 'ipv4'))
    );
  });
}
