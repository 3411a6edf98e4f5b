/** Writes anchors on an interval. */
import type { Logger } from 'pino';
import type { Clock } from '../clock/clock.ts';
import type { Em } from '../pg/orm.ts';
import { Poller } from '../poller.ts';
import type { SigningKey } from './anchor-key.ts';
import { writeAnchor } from './write-anchor.ts';

export type AnchorScheduleOptions = {
  readonly em: () => Em;
  readonly clock: Clock;
  readonly directory: string;
  readonly key: SigningKey;
  readonly intervalMs: number;
  readonly log: Logger;
};

export const startAnchorSchedule = ({
  em,
  clock,
  directory,
  key,
  intervalMs,
  log,
}: AnchorScheduleOptions): Poller =>
  new Poller({
    name: 'anchor',
    intervalMs,
    log,
    run: async () => {
      const anchor = await writeAnchor(em, directory, key, new Date(clock.now()));
      log.info(anchor, 'anchor written');
      return false;
    },
  });
