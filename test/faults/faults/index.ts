/** Every fault, in the order in which they run. */
import type { Fault } from '../fault.ts';
import { backendsTerminated, postgresKilled, serviceKilled } from './kills.ts';

export const faults: readonly Fault[] = [serviceKilled, postgresKilled, backendsTerminated];
