/** What the archiver writes through: units of work of its own, beside the replicas, for the checkpoints of accounts. */
import type { Logger } from 'pino';
import type { WriteCheckpoint } from '../archiver/finish-part.ts';
import { oneDatabase } from '../cells/installation.ts';
import type { Config } from '../config.ts';
import type { Trace } from '../ledger/entry.ts';
import { monotonicMs } from '../telemetry/monotonic.ts';
import { Observers } from '../telemetry/observers.ts';
import { Tracing } from '../telemetry/tracing.ts';
import { openLedger } from './ledger.ts';
import { createLanes } from './work.ts';

export type Checkpoints = {
  readonly write: WriteCheckpoint;
  close(): Promise<void>;
};

/** A checkpoint follows no call. */
const NO_TRACE: Trace = { traceId: '', spanId: '', sampled: false };

/** Connects to one database, as the service does. Rejects where it is no ledger of this version, or a sandbox. */
export async function openCheckpoints(
  url: string,
  config: Config,
  log: Logger,
): Promise<Checkpoints> {
  const installation = oneDatabase(url);
  const [address] = installation.cells as [(typeof installation.cells)[number]];
  const ledger = await openLedger(address, {
    config,
    installation,
    planFiles: null,
    log,
    sources: {},
    isToBeSandbox: false,
  });
  const tracing = new Tracing();
  const lanes = createLanes(
    {
      config,
      rootEm: ledger.orm.em,
      catalogue: ledger.catalogue,
      clock: ledger.clock,
      monotonic: monotonicMs,
      tracing,
      observers: new Observers(),
      log,
    },
    () => {},
  );
  return {
    write: (accountId, command) => lanes.execute(accountId, command, NO_TRACE),
    async close() {
      await lanes.close();
      await ledger.close();
    },
  };
}
