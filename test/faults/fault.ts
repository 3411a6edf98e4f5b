/** One fault, and one run of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { check, type Outcome } from './checks.ts';
import { closeScene, openScene, type Scene, type SceneOptions } from './scene.ts';

export type Fault = {
  readonly name: string;
  readonly options?: Partial<SceneOptions>;
  /** Why it cannot be made here; null if it can. */
  readonly unavailable?: () => Promise<string | null>;
  /** Makes the fault, under load, and ends it. */
  readonly inject: (scene: Scene) => Promise<void>;
};

export type Result = Outcome & {
  readonly name: string;
  /** Acknowledged calls per second before, during and after the fault. */
  readonly load: readonly [number, number, number];
  readonly recoveryMs: number;
  /** The largest resident memory of a replica, in MB. */
  readonly memory: number;
  readonly errors: ReadonlyMap<string, number>;
};

export type Skipped = { readonly name: string; readonly skipped: string };
/** It did not come to the checks: the service did not recover, or the fault could not be made. */
export type Failed = { readonly name: string; readonly failed: string };

export type Options = { readonly seed: number; readonly seconds: number };

export async function runFault(fault: Fault, options: Options): Promise<Result | Skipped | Failed> {
  try {
    return await run(fault, options);
  } catch (error) {
    return { name: fault.name, failed: (error as Error).message };
  }
}

async function run(fault: Fault, options: Options): Promise<Result | Skipped> {
  const skipped = await fault.unavailable?.();
  if (skipped) return { name: fault.name, skipped };
  const scene = await openScene({ ...options, ...fault.options });
  const { load } = scene;
  const calmMs = 300 * options.seconds;
  try {
    await load.start();
    await load.recovery();
    const startedAt = performance.now();
    await sleep(calmMs);
    const beganAt = performance.now();
    await fault.inject(scene);
    await scene.recover();
    const endedAt = performance.now();
    await sleep(calmMs);
    await load.stop();
    const outcome = await check(scene);
    return {
      name: fault.name,
      load: [
        load.rate(startedAt, beganAt),
        load.rate(beganAt, endedAt),
        load.rate(endedAt, performance.now()),
      ],
      recoveryMs: Math.max(...scene.recoveries),
      memory: Math.max(...scene.replicas.map(({ peakMemory }) => peakMemory)),
      errors: load.journal.errors,
      ...outcome,
    };
  } finally {
    await load.stop();
    await load.follower.stop();
    await closeScene(scene);
  }
}

/** Whether everything held, if it was tried. */
export const held = (result: Result | Skipped | Failed): boolean =>
  'skipped' in result || ('lost' in result && hasHeld(result));

const hasHeld = (result: Result): boolean =>
  (result.lost === 0 || result.lossExpected !== undefined) &&
  result.doubled === 0 &&
  result.verify === 'ok' &&
  result.problems.length === 0;
