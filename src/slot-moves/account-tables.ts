/** Which tables move with the accounts of a slot, and which stay. A test fails where a table is in neither list. */

/** With the column whose slot says where a row belongs. In the order in which units of work write them. */
export const MOVING_TABLES = {
  accounts: 'account_id',
  grants: 'account_id',
  reservations: 'account_id',
  purchases: 'account_id',
  custom_packs: 'account_id',
  refunded: 'account_id',
  budget_counters: 'account_id',
  entries: 'account_id',
  events: 'account_id',
  deliveries: 'account_id',
  statements: 'account_id',
  usage_positions: 'account_id',
  usage_rollups: 'account_id',
  usage_quantities: 'account_id',
  roll_forward_positions: 'account_id',
  roll_forward_sums: 'account_id',
  shadow_use: 'account_id',
  shadow_decisions: 'account_id',
  shadow_reservations: 'account_id',
  // The quota of a caller is counted in the cell of the slot of the caller's name.
  caller_quotas: 'caller',
} as const;

export type MovingTable = keyof typeof MOVING_TABLES;

/** Tables of accounts, which are copied again where an account has changed. */
export const ACCOUNT_TABLES = (Object.keys(MOVING_TABLES) as MovingTable[]).filter(
  (table) => MOVING_TABLES[table] === 'account_id',
);

/** With the reason why their rows stay. */
export const STAYING_TABLES: Readonly<Record<string, string>> = {
  plans: 'every cell has all plans',
  plan_versions: 'every cell has all plans',
  rate_cards: 'every cell has all plans',
  event_cursors: 'how far the events of this cell are',
  moved_events: 'they have their positions in this cell',
  clock_heartbeats: 'the clock of this database',
  clock_acceptances: 'the clock of this database',
  verify_runs: 'audits of this cell',
  archive_files: 'files of this cell',
  archived_accounts: 'accounts with archived entries are not moved',
  archived_requests: 'accounts with archived entries are not moved',
  cells: 'the map, of which every cell has its own copy',
  slot_moves: 'the move itself',
  cell_replicas: 'the move itself',
  restores: 'of this database',
  schema_migrations: 'of this database',
};
