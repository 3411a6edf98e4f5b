/** Finds out who calls: by the token of the call, the certificate of the connection, or in development by a header. */
import type { Http2Session, IncomingHttpHeaders } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { Failure } from '../failure.ts';
import type { Identity } from '../policy/identity.ts';
import { certificateName } from './certificate-name.ts';
import { callerUnknown, isShown } from './failures.ts';
import type { Tokens } from './tokens.ts';
import type { Bearer } from './verify-token.ts';

/** The request metadata in which callers name themselves in development. */
export const CALLER_KEY = 'x-caller';
const UNNAMED_CALLER = 'unknown';
const NAME = /^[\x21-\x7e]{1,128}$/;

export type AuthenticatorOptions = {
  readonly tokens: Tokens;
  /** Whether clients are asked for certificates. */
  readonly takesCertificates: boolean;
  /** Whether callers are believed who name themselves: only on loopback, and without TLS. */
  readonly takesHeader: boolean;
};

export class Authenticator {
  readonly #options: AuthenticatorOptions;
  /** Who a connection belongs to, if no token says otherwise. It never changes. */
  readonly #certificates = new WeakMap<Http2Session, Identity | Failure>();

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** Who makes a call. A promise only if the call has a token that is not known yet. */
  authenticate(
    session: Http2Session,
    headers: IncomingHttpHeaders,
  ): Identity | Failure | Promise<Identity | Failure> {
    const { tokens, takesCertificates, takesHeader } = this.#options;
    const { authorization } = headers;
    // Connections through the private socket have no TLS, and so no certificate.
    const certifies = takesCertificates && session.encrypted;
    // A token that cannot be verified is never ignored, except where no method is configured at all.
    if (authorization !== undefined && (tokens.areAccepted || !takesHeader)) {
      const bearer = tokens.authenticate(authorization);
      const certificate = certifies ? this.#certificateOf(session) : null;
      return bearer instanceof Promise
        ? bearer.then((verified) => withCertificate(verified, certificate))
        : withCertificate(bearer, certificate);
    }
    if (certifies) return this.#certificateOf(session);
    return takesHeader ? namedBy(headers[CALLER_KEY], tokens.areAccepted) : this.#noCredentials();
  }

  /** Whose token this is, whoever carries it. */
  authenticateToken(token: string): Identity | Failure | Promise<Identity | Failure> {
    const bearer = this.#options.tokens.authenticate(`Bearer ${token}`);
    return bearer instanceof Promise
      ? bearer.then((verified) => withCertificate(verified, null))
      : withCertificate(bearer, null);
  }

  /** Whether any issuer of tokens is configured. */
  get takesTokens(): boolean {
    return this.#options.tokens.areAccepted;
  }

  /** Whether callers are believed who name themselves. */
  get takesHeader(): boolean {
    return this.#options.takesHeader;
  }

  #certificateOf(session: Http2Session): Identity | Failure {
    const known = this.#certificates.get(session);
    if (known) return known;
    const found = this.#readCertificate(session.socket as TLSSocket);
    this.#certificates.set(session, found);
    return found;
  }

  #readCertificate(socket: TLSSocket): Identity | Failure {
    const certificate = socket.getPeerCertificate();
    if (Object.keys(certificate).length === 0) return this.#noCredentials();
    if (!socket.authorized) return notTrusted(String(socket.authorizationError));
    const caller = certificateName(certificate);
    if (caller === null)
      return callerUnknown(
        'CERTIFICATE_WITHOUT_NAME',
        'the certificate has neither one SPIFFE id nor a common name of printable ASCII without spaces',
      );
    return { caller, method: 'CERTIFICATE', certificate: '', claims: {}, until: null };
  }

  #noCredentials(): Failure {
    const { tokens, takesCertificates } = this.#options;
    const missing = [
      ...(takesCertificates ? ['no certificate'] : []),
      ...(tokens.areAccepted || !takesCertificates ? ['no bearer token'] : []),
    ];
    return callerUnknown('NO_CREDENTIALS', `there is ${missing.join(' and ')}`);
  }
}

/** `code` is OpenSSL's, such as "CERT_HAS_EXPIRED". */
const notTrusted = (code: string): Failure =>
  callerUnknown('CERTIFICATE_NOT_TRUSTED', `the certificate is not trusted: ${code}`, { code });

/** The token says who calls; the certificate, if there is one, who carries it. */
function withCertificate(
  bearer: Bearer | Failure,
  certificate: Identity | Failure | null,
): Identity | Failure {
  if (bearer instanceof Failure) return bearer;
  // A certificate that was shown and cannot be used would hide who carries the token.
  if (certificate instanceof Failure && isShown(certificate)) return certificate;
  const { caller, claims, until } = bearer;
  const carrier = certificate instanceof Failure || !certificate ? '' : certificate.caller;
  return { caller, method: 'TOKEN', certificate: carrier, claims, until };
}

/** Names with a colon are those of tokens, where tokens are accepted. */
function namedBy(
  name: string | readonly string[] | undefined,
  areTokensAccepted: boolean,
): Identity | Failure {
  if (areTokensAccepted && name?.includes(':')) return invalidName('must not contain a colon');
  if (name !== undefined && !(typeof name === 'string' && NAME.test(name))) return invalidName();
  return {
    caller: name ?? UNNAMED_CALLER,
    method: 'HEADER',
    certificate: '',
    claims: {},
    until: null,
  };
}

function invalidName(
  description = 'must be 1 to 128 printable ASCII characters without spaces',
): Failure {
  const field = CALLER_KEY;
  const message = `the request metadata ${field} ${description}`;
  return new Failure('INVALID_FIELD', message, { field }, [{ field, description }]);
}
