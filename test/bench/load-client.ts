/** Starts and drives the load generator's process. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Load, LoadEvent, LoadResult } from './load-spec.ts';

export type LoadClient = {
  /** Runs the load; `mark` is called when the measurement begins and when it ends. */
  run(load: Load, mark?: () => void): Promise<LoadResult>;
  stop(): void;
};

export function startLoadClient(): LoadClient {
  const child = fork(fileURLToPath(new URL('load-process.ts', import.meta.url)));
  return {
    run: (load, mark = () => {}) => run(child, load, mark),
    stop: () => void child.kill(),
  };
}

function run(child: ChildProcess, load: Load, mark: () => void): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const stopListening = () => {
      child.off('message', onMessage);
      child.off('exit', onExit);
    };
    const onExit = () => {
      stopListening();
      reject(new Error('the load generator ended'));
    };
    const onMessage = (message: LoadEvent) => {
      if (message.event === 'measuring' || message.event === 'measured') return mark();
      stopListening();
      if (message.event === 'result') resolve(message.result);
      else reject(new Error(`${load.operation.kind}: ${message.reason}`));
    };
    child.on('message', onMessage);
    child.once('exit', onExit);
    child.send({ load });
  });
}
