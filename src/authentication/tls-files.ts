/** The certificate, its key, and the CAs of clients, from files that are replaced while the service runs. */
import { constants, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContextOptions, type SecureVersion } from 'node:tls';
import type { Logger } from 'pino';

export type TlsOptions = {
  readonly certificateFile: string;
  readonly keyFile: string;
  /** The CAs of client certificates. Null: clients are not asked for any. */
  readonly clientCaFile: string | null;
  /** Whether connections without a valid client certificate are refused. */
  readonly requiresClientCertificate: boolean;
  readonly minVersion: SecureVersion;
  readonly log: Logger;
  /** Epoch milliseconds. */
  readonly now: () => number;
};

/** The contents of the files. */
type Files = { readonly cert: Buffer; readonly key: Buffer; readonly ca: Buffer | null };

/** A certificate that expires sooner is reported. */
const EXPIRY_NOTICE_MS = 14 * 86_400_000;
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export class TlsFiles {
  readonly options: TlsOptions;
  #files: Files;
  /** What went wrong when the files were last read; empty: nothing. It is logged once. */
  #problem = '';
  /** The certificate whose expiry has been reported. */
  #reported: Buffer | null = null;
  #onChange: (context: SecureContextOptions) => void = () => {};

  /** Throws if the files are not a certificate with its key, and CAs. */
  static async open(options: TlsOptions): Promise<TlsFiles> {
    const files = await readFiles(options);
    check(files, options);
    return new TlsFiles(options, files);
  }

  private constructor(options: TlsOptions, files: Files) {
    this.options = options;
    this.#files = files;
    this.#reportExpiry();
  }

  get context(): SecureContextOptions {
    return contextOf(this.#files, this.options);
  }

  /** Calls back with what new connections are to use, at every change. There is one watcher. */
  watch(onChange: (context: SecureContextOptions) => void) {
    this.#onChange = onChange;
  }

  /** Reads the files again. Broken ones, or half of a new pair, leave the previous in use. */
  async reload(): Promise<void> {
    try {
      const files = await readFiles(this.options);
      if (!isSame(files, this.#files)) {
        check(files, this.options);
        this.#files = files;
        this.#onChange(this.context);
        this.options.log.info(validityOf(files), 'certificates reloaded');
      }
      this.#problem = '';
    } catch (error) {
      this.#reportProblem(error as Error);
    }
    this.#reportExpiry();
  }

  #reportProblem({ message }: Error) {
    if (this.#problem === message) return;
    this.#problem = message;
    this.options.log.warn(
      { problem: message },
      'certificates not reloaded; the previous are in use',
    );
  }

  #reportExpiry() {
    const { cert } = this.#files;
    const { validToDate } = new X509Certificate(cert);
    if (cert === this.#reported) return;
    if (validToDate.getTime() - this.options.now() > EXPIRY_NOTICE_MS) return;
    this.#reported = cert;
    this.options.log.warn(validityOf(this.#files), "the service's certificate expires soon");
  }
}

async function readFiles({ certificateFile, keyFile, clientCaFile }: TlsOptions): Promise<Files> {
  const [cert, key, ca] = await Promise.all([
    readFile(certificateFile),
    readFile(keyFile),
    clientCaFile === null ? null : readFile(clientCaFile),
  ]);
  return { cert, key, ca };
}

const isSame = (one: Files, other: Files): boolean =>
  one.cert.equals(other.cert) &&
  one.key.equals(other.key) &&
  (one.ca === null || (other.ca !== null && one.ca.equals(other.ca)));

const contextOf = ({ cert, key, ca }: Files, { minVersion }: TlsOptions): SecureContextOptions => ({
  cert,
  key,
  // One by one: OpenSSL ignores the rest of a file at the first line that it cannot read.
  ...(ca && { ca: certificatesIn(ca) }),
  minVersion,
  // A resumed session shows no certificate: one that has expired, or whose CA was removed, would pass.
  secureOptions: constants.SSL_OP_NO_TICKET,
});

function check(files: Files, options: TlsOptions) {
  const { certificateFile, keyFile, clientCaFile } = options;
  try {
    createSecureContext(contextOf(files, options));
  } catch (error) {
    throw new Error(
      `${certificateFile} and ${keyFile} are not a certificate and its key: ${(error as Error).message}`,
    );
  }
  // Without any CA every client would be refused.
  if (files.ca) checkAuthorities(files.ca, String(clientCaFile));
}

const certificatesIn = (pem: Buffer): string[] =>
  pem.toString('latin1').match(PEM_CERTIFICATE) ?? [];

function checkAuthorities(ca: Buffer, file: string) {
  const certificates = certificatesIn(ca);
  if (certificates.length === 0) throw new Error(`${file} has no certificate`);
  for (const certificate of certificates)
    try {
      new X509Certificate(certificate);
    } catch {
      throw new Error(`${file} has a certificate that cannot be read`);
    }
}

function validityOf({ cert }: Files) {
  const { subject, validToDate, fingerprint256 } = new X509Certificate(cert);
  return { subject, expires_at: validToDate.toISOString(), fingerprint: fingerprint256 };
}
