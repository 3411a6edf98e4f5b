/** Reports read many rows: what is best for a unit of work is not for them. See pg/session-settings.ts. */
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';

/** For the rest of the transaction. */
export async function allowScans(em: Em) {
  await query(
    em,
    `select set_config(name, value, true) from (values
       ('enable_seqscan', 'on'), ('enable_hashjoin', 'on'), ('enable_mergejoin', 'on'),
       ('plan_cache_mode', 'force_custom_plan')) settings (name, value)`,
    [],
  );
}
