/** The clocks of the database and of this machine, compared once: for programs that are not the service. */
import type { Em } from '../pg/orm.ts';
import type { Acceptance } from '../store/tables/clock-acceptances.ts';
import { findNewestAcceptance, readDatabaseTime, readHeartbeat } from './clock-records.ts';
import type { Heartbeat } from './clock-state.ts';

export type Clocks = {
  readonly database: number;
  readonly host: number;
  readonly heartbeat: Heartbeat | null;
  readonly acceptance: Acceptance | null;
};

export async function readClocks(em: Em): Promise<Clocks> {
  const heartbeat = await readHeartbeat(em);
  const acceptance = await findNewestAcceptance(em);
  // Last, one right after the other.
  return { heartbeat, acceptance, database: await readDatabaseTime(em), host: Date.now() };
}

export const agreesWithHost = ({ database, host }: Clocks, skewMaxMs: number): boolean =>
  Math.abs(host - database) <= skewMaxMs;

/** Whether a replica that starts now would suspect the clocks. */
export function areClocksSuspect(clocks: Clocks, skewMaxMs: number): boolean {
  const { database, heartbeat } = clocks;
  if (!agreesWithHost(clocks, skewMaxMs)) return true;
  if (!heartbeat) return false;
  const jumpMs = Math.abs(heartbeat.database - heartbeat.trusted);
  return Math.max(jumpMs, heartbeat.trusted - database) > skewMaxMs;
}
