/** The caller that a client certificate names: by its SPIFFE id, or else by its common name. */
import type { PeerCertificate } from 'node:tls';
import { isCallerName } from './caller-name.ts';

/** One name of a subject alternative name. Node quotes a value, as JSON, that could be taken for several. */
const ALTERNATIVE_NAME =
  /([A-Za-z][A-Za-z ]*):("(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|[^",]*)(?:, |$)/uy;
/** A SPIFFE id of a workload. One without a path names a trust domain, which is no caller. */
const SPIFFE_ID = /^spiffe:\/\/[a-z0-9._-]+(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)+$/;

export type NamedCertificate = {
  readonly subjectaltname?: string | undefined;
  readonly subject?: { readonly CN?: string | readonly string[] | undefined } | undefined;
};

/**
 * Null: the certificate names no caller. One that has a SPIFFE id beside another URI names none, as SPIFFE
 * demands, and is not taken by its common name.
 */
export function certificateName(certificate: NamedCertificate | PeerCertificate): string | null {
  const uris = urisOf(certificate.subjectaltname ?? '');
  if (uris === null) return null;
  const name = uris.some((uri) => /^spiffe:/i.test(uri)) ? spiffeId(uris) : commonName(certificate);
  return name !== null && isCallerName(name) ? name : null;
}

const spiffeId = ([uri = '', ...others]: readonly string[]): string | null =>
  others.length === 0 && SPIFFE_ID.test(uri) ? uri : null;

function commonName({ subject }: NamedCertificate): string | null {
  const name = subject?.CN;
  return typeof name === 'string' && name !== '' ? `cn:${name}` : null;
}

/** The URIs of a subject alternative name as Node writes it; null if it cannot be read to its end. */
function urisOf(text: string): readonly string[] | null {
  const uris: string[] = [];
  let end = 0;
  ALTERNATIVE_NAME.lastIndex = 0;
  for (let found = ALTERNATIVE_NAME.exec(text); found; found = ALTERNATIVE_NAME.exec(text)) {
    const [, type, value = ''] = found;
    end = ALTERNATIVE_NAME.lastIndex;
    if (type === 'URI') uris.push(value.startsWith('"') ? String(JSON.parse(value)) : value);
  }
  return end === text.length ? uris : null;
}
