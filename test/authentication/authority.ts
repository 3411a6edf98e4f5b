/** A certificate authority of a test, and the certificates that it signs. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  BasicConstraintsExtension,
  cryptoProvider,
  type GeneralName,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

cryptoProvider.set(crypto);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY = 86_400_000;

/** PEM. */
export type Pair = { readonly certificate: Buffer; readonly key: Buffer };

export type CertificateOptions = {
  readonly commonName?: string;
  /** Subject alternative names. Default: none. */
  readonly names?: readonly { readonly type: 'dns' | 'ip' | 'url'; readonly value: string }[];
  /** In milliseconds from now. Default: it is valid for 90 days. */
  readonly validFrom?: number;
  readonly validTo?: number;
};

export type Authority = {
  /** Its certificate, as PEM. */
  readonly certificate: Buffer;
  sign(options: CertificateOptions): Promise<Pair>;
};

export async function createAuthority(commonName = 'Test CA'): Promise<Authority> {
  const keys = await createKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${commonName}`,
    keys,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(Date.now() - DAY),
    notAfter: new Date(Date.now() + 365 * DAY),
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
  });
  const sign = async (options: CertificateOptions): Promise<Pair> => {
    const { commonName: name, names = [], validFrom = -DAY, validTo = 90 * DAY } = options;
    const own = await createKeys();
    const signed = await X509CertificateGenerator.create({
      subject: name === undefined ? '' : [{ CN: [name] }],
      issuer: certificate.subject,
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: ALGORITHM,
      notBefore: new Date(Date.now() + validFrom),
      notAfter: new Date(Date.now() + validTo),
      extensions:
        names.length > 0
          ? // Critical where it alone names the subject: RFC 5280, 4.2.1.6. Java insists on it.
            [new SubjectAlternativeNameExtension(names as GeneralName[], name === undefined)]
          : [],
    });
    return { certificate: Buffer.from(signed.toString('pem')), key: await toPem(own.privateKey) };
  };
  return { certificate: Buffer.from(certificate.toString('pem')), sign };
}

/** What a service on this machine shows. */
export const signServer = (authority: Authority, options: CertificateOptions = {}) =>
  authority.sign({
    commonName: 'billing',
    names: [
      { type: 'dns', value: 'localhost' },
      { type: 'ip', value: '127.0.0.1' },
    ],
    ...options,
  });

const createKeys = () => webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);

async function toPem(key: webcrypto.CryptoKey): Promise<Buffer> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  return Buffer.from(
    `-----BEGIN PRIVATE KEY-----\n${bytes.toString('base64')}\n-----END PRIVATE KEY-----\n`,
  );
}

/** The files of a service, which a test replaces. */
export type TlsDirectory = {
  /** The configuration that names them. */
  readonly env: Readonly<Record<string, string>>;
  write(files: { readonly server?: Pair; readonly ca?: Buffer }): Promise<void>;
  remove(): Promise<void>;
};

export async function createTlsDirectory(server: Pair, ca?: Buffer): Promise<TlsDirectory> {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-tls-'));
  /** As deployments replace files: at once. */
  const replace = async (name: string, content: Buffer) => {
    await writeFile(join(directory, `${name}.new`), content, { mode: 0o600 });
    await rename(join(directory, `${name}.new`), join(directory, name));
  };
  const write: TlsDirectory['write'] = async (files) => {
    if (files.server) {
      await replace('server.pem', files.server.certificate);
      await replace('server.key', files.server.key);
    }
    if (files.ca) await replace('ca.pem', files.ca);
  };
  await write({ server, ...(ca && { ca }) });
  return {
    env: {
      TLS_CERT_FILE: join(directory, 'server.pem'),
      TLS_KEY_FILE: join(directory, 'server.key'),
      ...(ca && { TLS_CLIENT_CA_FILE: join(directory, 'ca.pem') }),
      // Tests call reload().
      TLS_RELOAD_INTERVAL_MS: '86400000',
    },
    write,
    remove: () => rm(directory, { recursive: true }),
  };
}
