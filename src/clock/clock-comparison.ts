/** The clocks of the database and of this machine, compared once: for programs that are not the service. */
import type { Em } from '../pg/orm.ts';
import type { Acceptance } from '../store/tables/clock-acceptances.ts';
import {
  findNewestAcceptance,
  isSandbox,
  readDatabaseTime,
  readHeartbeat,
  readSandboxTime,
} from './clock-records.ts';
import type { Heartbeat } from './clock-state.ts';

export type Clocks = {
  readonly database: number;
  readonly host: number;
  readonly heartbeat: Heartbeat | null;
  readonly acceptance: Acceptance | null;
  /** How far both were moved, in milliseconds. Null: the database is no sandbox's. */
  readonly sandboxOffsetMs: number | null;
};

export async function readClocks(em: Em): Promise<Clocks> {
  const heartbeat = await readHeartbeat(em);
  const acceptance = await findNewestAcceptance(em);
  // Last, one right after the other.
  const { database, offsetMs } = await readTime(em);
  const host = Date.now() + (offsetMs ?? 0);
  return { heartbeat, acceptance, database, host, sandboxOffsetMs: offsetMs };
}

/** The time that a service on the database would follow, in epoch milliseconds. */
export const readServiceTime = async (em: Em): Promise<number> => (await readTime(em)).database;

async function readTime(em: Em): Promise<{ database: number; offsetMs: number | null }> {
  if (!(await isSandbox(em))) return { database: await readDatabaseTime(em), offsetMs: null };
  const { database, offsetMs } = await readSandboxTime(em);
  return { database: database + offsetMs, offsetMs };
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
