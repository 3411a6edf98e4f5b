/** A policy that answers: which rule applies to a caller, and what the caller may do. */
import { matchesAny } from './caller-name.ts';
import type { Identity } from './identity.ts';
import type { Permissions } from './permissions.ts';
import type { Policy } from './policy.ts';
import type { PolicyFile } from './policy-file.ts';
import { type Rule, selects } from './rule.ts';

/** Certificates whose permissions are kept. Beyond, they are looked up again. */
const KNOWN_MAX = 10_000;

export class CompiledPolicy implements Policy {
  readonly file: PolicyFile;
  /** By the names of certificates. Tokens are not kept: their claims decide, and a caller has many of them. */
  readonly #known = new Map<string, Permissions | null>();

  constructor(file: PolicyFile) {
    this.file = file;
  }

  permissionsOf(identity: Identity): Permissions | null {
    const { caller, method, certificate } = identity;
    if (method !== 'CERTIFICATE') return this.#find(identity);
    const known = this.#known.get(caller);
    if (known !== undefined) return known;
    const permissions = this.#find(identity);
    if (this.#known.size >= KNOWN_MAX) this.#known.clear();
    if (certificate === '') this.#known.set(caller, permissions);
    return permissions;
  }

  /** The first rule that applies to the caller, whoever carries its token. */
  ruleOf(identity: Identity): Rule | null {
    return this.file.rules.find(({ selector }) => selects(selector, identity)) ?? null;
  }

  /** The rule of the certificate that carried the token. */
  carrierRuleOf({ certificate }: Identity): Rule | null {
    return this.ruleOf({
      caller: certificate,
      method: 'CERTIFICATE',
      certificate: '',
      claims: {},
      until: null,
    });
  }

  /** Whether the token came without a certificate, or with one that may carry it. */
  mayBeCarried(identity: Identity): boolean {
    const { caller, certificate } = identity;
    if (certificate === '') return true;
    return matchesAny(this.carrierRuleOf(identity)?.carriesTokensOf ?? [], caller);
  }

  #find(identity: Identity): Permissions | null {
    if (!this.mayBeCarried(identity)) return null;
    return this.ruleOf(identity)?.permissions ?? null;
  }
}
