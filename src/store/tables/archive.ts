/** The tables of the archive: its files, how far each account is in them, and the requests of archived entries. */
import { bigint, bytea, instant, int, text } from '../../pg/column.ts';
import { defineTable, type Values } from '../../pg/table.ts';

const fileColumns = {
  name: text('key', 'of the file, in ARCHIVE_DIRECTORY'),
  month: text('inserted', 'of its entries, e.g. "2026-11", UTC'),
  part: int('inserted', '1, 2, 3 … within the month'),
  firstAccount: text(
    'inserted',
    'its entries are in the order of their accounts, by bytes, and seqs',
  ),
  lastAccount: text('inserted'),
  entries: bigint('inserted'),
  bytes: bigint('inserted'),
  sha256: bytea('inserted', 'of the file'),
  finishedAt: instant(
    'updated',
    'all its entries have left the database; null: not yet',
  ).nullable(),
};

/** A file of the archive, as it was recorded once it was whole. */
export type ArchivedFile = Values<typeof fileColumns>;

export const archiveFiles = defineTable({
  name: 'archive_files',
  comment: 'Files with archived entries. Each was whole, and on disk, before its row was written.',
  columns: fileColumns,
  checks: { archive_files_entries_check: 'entries > 0' },
  privileges: 'select',
});

export const archivedAccounts = defineTable({
  name: 'archived_accounts',
  comment:
    'How far entries of accounts are archived. It moves in the transaction that deletes the rows: entries up to seq are ' +
    'read from files, later ones from the table.',
  columns: {
    accountId: text('key'),
    seq: bigint('updated', 'entries up to it have left the table'),
    at: instant('updated', 'time of that entry; null: none has left').nullable(),
    requestsSeq: bigint('updated', 'requests of entries up to it are in archived_requests'),
    key: bytea(
      'updated',
      'encrypts the personal data of its entries in files; null: erased, with all that it encrypts',
    ).nullable(),
  },
  checks: { archived_accounts_seq_check: ['seq >= 0', 'requests_seq >= seq'] },
  privileges: 'select',
  unanalyzed: ['key'],
});

export const archivedRequests = defineTable({
  name: 'archived_requests',
  comment:
    'The requests of archived entries: a repetition is refused, and never carried out again. Hashes of 16 bytes, in their ' +
    'order, up to 112 in a row.',
  columns: {
    accountId: text('key'),
    firstKey: bytea('key', 'the first of the hashes'),
    keys: bytea('inserted', 'hashes of method and request id, one after the other'),
  },
  checks: {
    archived_requests_keys_check: ['length(keys) > 0', 'length(keys) % 16 = 0'],
  },
  privileges: 'select',
  unanalyzed: ['keys'],
});
