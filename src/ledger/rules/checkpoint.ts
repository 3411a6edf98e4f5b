/**
 * Checkpoint: the entries of the account up to a seq are in the archive. The entry seals that in the chain before any
 * of them leaves the database; from then on none of them is refunded.
 */
import type { Book } from '../book.ts';
import type { Origin } from '../entry.ts';

export type Checkpoint = {
  readonly kind: 'Checkpoint';
  /** seq of the last archived entry. */
  readonly archivedSeq: bigint;
  /** Hash of that entry, in hexadecimal. */
  readonly archivedHash: string;
};

/** What an earlier checkpoint covers, or no entry has yet, writes nothing. */
export function checkpoint(book: Book, { archivedSeq, archivedHash }: Checkpoint, origin: Origin) {
  const { account } = book;
  if (archivedSeq <= (account.archivedSeq ?? 0n) || archivedSeq > account.seq)
    return { kind: 'Checkpoint', entrySeq: 0n } as const;
  account.archivedSeq = archivedSeq;
  book.changes.settings = true;
  const details = { archived_seq: archivedSeq.toString(), archived_hash: archivedHash };
  const entry = book.post({ kind: 'CHECKPOINT', details }, origin);
  return { kind: 'Checkpoint', entrySeq: entry.seq } as const;
}
