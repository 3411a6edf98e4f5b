/** Who calls: what authentication found out, and all that a policy knows of a caller. */

/** How a caller was authenticated. HEADER, by `x-caller`, is for development on loopback. */
export type AuthenticationMethod = 'CERTIFICATE' | 'TOKEN' | 'HEADER';

export type Identity = {
  /**
   * The name that entries keep, such as "spiffe://example.org/renderer" (a certificate's SPIFFE id), "cn:renderer" (its
   * common name), or "cluster:system:serviceaccount:media:renderer" (an issuer's name, and a claim of its token).
   * The prefixes differ, so that none of them can name a caller of another.
   */
  readonly caller: string;
  readonly method: AuthenticationMethod;
  /** With a token on a mutual TLS connection: the name of the certificate that carried it. Empty otherwise. */
  readonly certificate: string;
  /** The claims of the token; empty without one. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** Until when its token is valid, in epoch milliseconds. Null without a token. */
  readonly until: number | null;
};
