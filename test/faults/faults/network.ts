/** The network between the service and its database, and connections that others take. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { connect } from '../../../src/client.ts';
import type { Fault } from '../fault.ts';
import type { Cut } from '../fault-proxy.ts';
import { channel } from '../load.ts';
import { query } from '../postgres-cluster.ts';

/** One COMMIT in so many is cut. */
const CUT_EVERY = 15;
const CUTS: readonly Cut[] = ['before', 'within', 'after'];

export const commitCut: Fault = {
  name: 'commit-cut',
  async inject({ proxy, seconds }) {
    let commits = 0;
    proxy.onCommit = () => {
      commits++;
      return commits % CUT_EVERY === 0 ? (CUTS[(commits / CUT_EVERY) % CUTS.length] ?? null) : null;
    };
    await sleep(1_000 * seconds);
    proxy.onCommit = () => null;
    if (commits < CUT_EVERY) throw new Error('no COMMIT was cut');
  },
};

export const slowStatements: Fault = {
  name: 'slow-statements',
  async inject({ proxy, seconds }) {
    proxy.delayBy(250);
    await sleep(1_000 * seconds);
    proxy.delayBy(0);
  },
};

/** More than the server has, so that none is left for the service. */
const SESSIONS = 120;
/** Clients of the service that connect at the same moment. */
const CLIENTS = 500;

/** Sessions of others take every connection of PostgreSQL, and many clients connect to the service at once. */
export const connectionStorm: Fault = {
  name: 'connection-storm',
  async inject({ postgres, replicas, seconds }) {
    const sessions: pg.Client[] = [];
    const clients = replicas.flatMap(({ port }) =>
      Array.from({ length: CLIENTS / replicas.length }, () =>
        connect(`127.0.0.1:${port}`, { caller: 'storm', channel }),
      ),
    );
    try {
      const admin = new pg.Client(postgres.maintenanceUrl);
      admin.on('error', () => {});
      await admin.connect();
      sessions.push(admin);
      let refused = 0;
      const takeAll = async () => {
        for (let count = 0; count < SESSIONS; count++) {
          const session = new pg.Client(postgres.maintenanceUrl);
          session.on('error', () => {});
          try {
            await session.connect();
            sessions.push(session);
          } catch {
            refused++;
            await session.end().catch(() => {});
            break;
          }
        }
      };
      await takeAll();
      await admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = 'scrip'`,
      );
      await takeAll();
      if (refused === 0) throw new Error('PostgreSQL accepted every session');
      const deadline = Date.now() + 1_000 * seconds;
      await Promise.all(
        clients.map(({ billing }) =>
          billing.getBalance({ accountId: 'hot' }, { deadline }).catch(() => {}),
        ),
      );
      await sleep(Math.max(0, deadline - Date.now()));
    } finally {
      for (const client of clients) client.close();
      await Promise.all(sessions.map((session) => session.end().catch(() => {})));
    }
    await query(postgres.maintenanceUrl, 'select 1');
  },
};
