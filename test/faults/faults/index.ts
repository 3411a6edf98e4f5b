/** Every fault, in the order in which they run. */
import type { Fault } from '../fault.ts';
import { diskFull } from './disk.ts';
import { expensiveMessages, overload } from './excess.ts';
import { backendsTerminated, postgresKilled, serviceKilled } from './kills.ts';
import { commitCut, connectionStorm, slowStatements } from './network.ts';
import { clockJumps, replicaStopped, restartDuringDrain } from './replicas.ts';
import { asynchronousStandby, pointInTimeRestore, synchronousStandby } from './restores.ts';

export const faults: readonly Fault[] = [
  serviceKilled,
  postgresKilled,
  backendsTerminated,
  commitCut,
  diskFull,
  connectionStorm,
  slowStatements,
  clockJumps,
  replicaStopped,
  restartDuringDrain,
  synchronousStandby,
  asynchronousStandby,
  pointInTimeRestore,
  overload,
  expensiveMessages,
];
