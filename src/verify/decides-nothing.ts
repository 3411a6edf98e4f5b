/**
 * Columns that verify does not check, or not in every respect, with the reason why that decides nothing about money
 * or rights. README.md has the same list. A test alters every other column and sees that verify names the row.
 */
export const DECIDES_NOTHING: Readonly<Record<string, string>> = {
  'accounts.version': 'row version: two replicas agree by it on who writes',
  'accounts.low_levels':
    'null for an empty list: its levels are looked at as those of a new account',
  'accounts.due_at': 'earlier: the account is settled for nothing',
  'accounts.top_up_due_at': 'computed again with every change of the account',
  'accounts.top_ups':
    'lease, back-off and refusal: they put a charge off or bring it forward, within the cap',
  'accounts.has_limited_grants':
    'true without such a grant: all open grants are loaded for nothing',
  'accounts.allowance_due_at':
    'a later end of a period, where the plan gained its allowance after the account came to it',
  'accounts.statement_due_at': 'another end of a month that has no overage to bill',
  'accounts.statement_plan_id':
    'of an account that lived under no postpaid plan since its last statement',
  'accounts.caller_days':
    'less than was moved: it bounds mistakes of one day, and the entries say what was moved',
  'grants.notice_at': 'when subscribers are told of an expiry',
  'purchases.success_url': "where the buyer's browser goes",
  'purchases.cancel_url': "where the buyer's browser goes",
  'purchases.session_id': 'while pending: the provider names the purchase that a session pays',
  'purchases.checkout_url': 'shown while pending; a session is paid under its own URL',
  'purchases.session_expires_at': 'when the provider is asked again',
  'purchases.payment_intent_id': 'while pending: the provider names the purchase that it pays',
  'purchases.sync_version':
    'an answer of the provider that is older than it is dropped and asked for again',
  'purchases.next_check_at': 'when the provider is asked again',
  'caller_quotas.*': 'it bounds mistakes of one day, and the entries say what was moved',
  'usage_positions.*':
    'how far usage is counted: the rollups are compared with the entries up to there',
  'roll_forward_positions.*':
    'how far movements are counted: the sums are compared with the entries up to there',
  'deliveries.*': 'whether subscribers were told; every event has its delivery',
  'event_cursors.*': 'how far events are on their way; the newest positions are compared',
  'clock_heartbeats.*':
    'whether replicas trust the clock; what they wrote has its time in the entries',
  'clock_acceptances.*':
    'whether replicas trust the clock; what they wrote has its time in the entries',
  'archive_files.finished_at':
    'whether the archiver looks at the file again, which deletes nothing more',
  'verify_runs.*': 'what metrics show of earlier audits',
  'slot_moves.*': 'the move that goes on: what it has copied is compared before it counts',
  'cell_replicas.*':
    'what replicas have read of a move; the database refuses what they must not write',
  'moved_events.*': 'where a stream finds an event; the positions are compared',
  'restores.*': 'which tokens of event streams are still accepted',
  'cells.*':
    'where accounts are looked for; every cell has the same map, and a service compares them',
  'shadow_use.*':
    'what shadow mode would have used: it moves no credits, and is compared with its decisions',
  'shadow_decisions.*': 'what shadow mode decided: it moves no credits',
  'shadow_reservations.*': 'jobs of shadow mode: they hold nothing, and are charged nothing',
};
