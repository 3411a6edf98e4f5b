/** The hash chain of one account: each entry's hash is that of what it says and of the hash before it. */
import type { Account } from '../ledger/account.ts';
import type { StoredEntry } from '../ledger/entry.ts';
import { type SealedEntry, sealAgain } from '../ledger/hash-chain.ts';
import type { Report } from './findings.ts';

export class Chain {
  #hash: Uint8Array = new Uint8Array();

  /** Checks the account's next entry, and returns it as it would be stored. */
  apply(entry: StoredEntry, report: Report): SealedEntry {
    const sealed = sealAgain(entry, this.#hash);
    if (Buffer.compare(sealed.hash, entry.hash) !== 0)
      report('its hash is not that of what it says and the hash before it');
    // The stored hash: a changed entry is then reported alone, without all that follow.
    this.#hash = entry.hash;
    return sealed;
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
