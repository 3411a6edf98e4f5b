/** TLS of the gRPC port: what connections must show, and certificates that are replaced while it is open. */
import { ServerCredentials } from '@grpc/grpc-js';
import type { TlsFiles } from '../authentication/tls-files.ts';

/** How long a client may take to agree on keys. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

export class TlsServerCredentials extends ServerCredentials {
  constructor(files: TlsFiles) {
    const { clientCaFile, requiresClientCertificate } = files.options;
    super(
      {
        requestCert: clientCaFile !== null,
        rejectUnauthorized: clientCaFile !== null && requiresClientCertificate,
        handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      },
      files.context,
    );
    // Connections that are open go on as they began.
    files.watch((context) => this.updateSecureContextOptions(context));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}
