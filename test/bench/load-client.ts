/** Starts and drives the load generator's process. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Load, LoadEvent, LoadResult } from './load-spec.ts';

export type LoadHooks = {
  /** The load begins when it resolves. Reservations that the load needs have been made by then. */
  readonly prepared?: () => Promise<void>;
  /** Called when the measurement begins and when it ends. */
  readonly mark?: () => void;
};

export type LoadClient = {
  run(load: Load, hooks?: LoadHooks): Promise<LoadResult>;
  stop(): void;
};

export function startLoadClient(): LoadClient {
  const child = fork(fileURLToPath(new URL('load-process.ts', import.meta.url)));
  return {
    run: (load, hooks = {}) => run(child, load, hooks),
    stop: () => void child.kill(),
  };
}

function run(child: ChildProcess, load: Load, hooks: LoadHooks): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const stopListening = () => {
      child.off('message', onMessage);
      child.off('exit', onExit);
    };
    const fail = (error: Error) => {
      stopListening();
      reject(error);
    };
    const onExit = () => fail(new Error('the load generator ended'));
    const begin = async () => {
      await hooks.prepared?.();
      child.send({ begin: true });
    };
    const onMessage = (message: LoadEvent) => {
      switch (message.event) {
        case 'prepared':
          return void begin().catch(fail);
        case 'result':
          stopListening();
          return resolve(message.result);
        case 'failed':
          return fail(new Error(`${load.operation.kind}: ${message.reason}`));
        default:
          return hooks.mark?.();
      }
    };
    child.on('message', onMessage);
    child.once('exit', onExit);
    child.send({ load });
  });
}
