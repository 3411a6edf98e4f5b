/** The process that makes load, seen from the bench. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Load, LoadResult, Tells } from './load-spec.ts';

export type LoadClient = {
  /** Makes the load; `mark` is called when what is measured begins, and when it ends. */
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
    const settle = (settled: () => void) => {
      child.off('message', hear);
      child.off('exit', lost);
      settled();
    };
    const lost = () => settle(() => reject(new Error('the load client died')));
    const hear = (tells: Tells) => {
      if (tells.event === 'result') settle(() => resolve(tells.result));
      else if (tells.event === 'failed')
        settle(() => reject(new Error(`${load.operation.kind}: ${tells.reason}`)));
      else mark();
    };
    child.on('message', hear);
    child.once('exit', lost);
    child.send({ load });
  });
}
