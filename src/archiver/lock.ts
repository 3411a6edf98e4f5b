/** A cell is archived by one command at a time, and not while accounts leave it: their entries would stay in its files. */
import { MOVE_TRIGGER } from '../cells/fence.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';

/** The key of an advisory lock, which moves of slots take, too. Nothing else uses this number. */
export const ARCHIVER_LOCK = 5_347_263;

/** From now on the session is the only archiver of the database. Throws where there is another, or slots leave the cell. */
export async function lockAsArchiver(em: Em): Promise<void> {
  const [lock] = await query<{ locked: boolean }>(
    em,
    `select pg_try_advisory_lock(${ARCHIVER_LOCK}) as locked`,
    [],
  );
  // A killed move has lost its lock and left its triggers. scrip_archiver may not read slot_moves.
  const triggers = await query(
    em,
    `select tgname from pg_trigger where tgrelid = 'accounts'::regclass and tgname = '${MOVE_TRIGGER}_insert'`,
    [],
  );
  if (triggers.length > 0)
    throw new Error('slots of this cell are being moved: archive it once scrip cells check is ok');
  if (!lock?.locked)
    throw new Error('another archiver works on this database, or slots are being moved from it');
}
