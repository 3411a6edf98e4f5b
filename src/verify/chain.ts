/** The hash chain of one account: each entry's hash is that of what it says and of the hash before it. */
import type { Account } from '../ledger/account.ts';
import type { StoredEntry, TermsHashes } from '../ledger/entry.ts';
import { type SealedEntry, sealAgain } from '../ledger/hash-chain.ts';
import type { Report } from './findings.ts';

const NO_TERMS: TermsHashes = { termsHash: '', rateCardHash: '' };

export class Chain {
  #hash: Uint8Array = new Uint8Array();

  /**
   * Checks the account's next entry, and returns it as it would be stored. `terms` are the hashes that it may have
   * been hashed with; without any it names a version that does not exist, which rate-cards.ts reports.
   */
  apply(entry: StoredEntry, terms: readonly TermsHashes[], report: Report): SealedEntry {
    const sealed = terms.map((hashes) => sealAgain(entry, hashes, this.#hash));
    const fitting = sealed.find(({ hash }) => Buffer.compare(hash, entry.hash) === 0);
    if (!fitting && sealed.length > 0)
      report('its hash is not that of what it says and the hash before it');
    // The stored hash: a changed entry is then reported alone, without all that follow.
    const before = this.#hash;
    this.#hash = entry.hash;
    return fitting ?? sealed[0] ?? sealAgain(entry, NO_TERMS, before);
  }

  /** Passes over an entry that cannot be read. */
  skip(hash: Uint8Array) {
    this.#hash = hash;
  }

  finish({ lastHash }: Account, report: Report) {
    if (Buffer.compare(lastHash, this.#hash) !== 0)
      report('last_hash is not the hash of the newest entry');
  }
}
