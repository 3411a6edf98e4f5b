/**
 * What every connection of the service sets when it connects. Migrations, which connect as the owner of the
 * database, set nothing.
 */
export const SESSION_SETTINGS: Readonly<Record<string, string>> = {
  /** A role that can neither change nor delete an entry. */
  role: 'scrip_runtime',

  // Every SQL statement of the service finds its rows by key, however large its tables are. The planner would
  // go by statistics, which a new table has none of, and scan whole tables. These leave it nested loops over
  // indexes; a generic plan is made once per connection.
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  plan_cache_mode: 'force_generic_plan',
  // Up to version 17 PostgreSQL adds 1e10 to the cost of a plan that has to scan a table in spite of
  // enable_seqscan, such as the sum over the few rows of `plans` in the update of accounts. Where PostgreSQL is
  // built with LLVM, such a cost makes it compile the plan at every execution.
  jit: 'off',

  // A lost peer or a lock that is never released ends one SQL statement, not the lane behind it.
  statement_timeout: '30s',
  lock_timeout: '10s',
  // A replica that stands still inside a transaction holds its accounts. Between the two batches of a unit of
  // work are milliseconds.
  idle_in_transaction_session_timeout: '10s',
};

/**
 * The same for a schema that Citus distributes, which makes no generic plan of many statements; and for commands, which
 * work on such a schema and on others.
 */
export const CITUS_SESSION_SETTINGS: typeof SESSION_SETTINGS = {
  ...SESSION_SETTINGS,
  plan_cache_mode: 'auto',
};
