import { Migration } from '@mikro-orm/migrations';

/** Columns that only the audit filters by: rows are found by their keys. */
const PAYLOADS: Readonly<Record<string, readonly string[]>> = {
  accounts: ['labels', 'auto_top_up', 'top_ups', 'last_hash'],
  grants: ['operations'],
  reservations: ['allocations', 'held_for', 'labels'],
  entries: ['moves', 'usages', 'labels', 'hash'],
  requests: ['fingerprint', 'response'],
  events: ['data'],
};

/** No statistics of payloads: ANALYZE would sort their values, JSON by its structure. */
export class Migration0009Statistics extends Migration {
  override up() {
    for (const [table, columns] of Object.entries(PAYLOADS))
      this.addSql(
        `alter table ${table} ${columns
          .map((column) => `alter column ${column} set statistics 0`)
          .join(', ')}`,
      );
  }
}
