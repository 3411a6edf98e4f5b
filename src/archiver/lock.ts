/** A cell is archived by one command at a time, and not while accounts leave it: their entries would stay in its files. */
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
  // A killed move has lost its lock and left its row.
  const moves = await query(
    em,
    'select m.move_id from slot_moves m join cells c on c.name = m.from_cell',
    [],
  );
  if (moves.length > 0)
    throw new Error('slots of this cell are being moved: archive it once scrip cells check is ok');
  if (!lock?.locked)
    throw new Error('another archiver works on this database, or slots are being moved from it');
}
