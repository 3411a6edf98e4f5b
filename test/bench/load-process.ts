/** The process that makes load, so that the client's work is nobody else's: `load-client.ts` forks it. */

import { functionSource } from './hand-tuned.ts';
import { copySource } from './history-copy.ts';
import { makeLoad, type Source } from './load.ts';
import type { Load, Tells, Told } from './load-spec.ts';
import { callSource } from './sources.ts';

// grpc-js keeps the caller's stack of every call; here it would only cost.
Error.stackTraceLimit = 0;

const tell = (tells: Tells) => void process.send?.(tells);

process.on('message', (told: Told) => {
  void run(told.load).then(
    (result) => tell({ event: 'result', result }),
    (error: Error) => tell({ event: 'failed', reason: error.message }),
  );
});

async function run(load: Load) {
  const source = await sourceOf(load);
  try {
    return await makeLoad(source, load, (event) => tell({ event }));
  } finally {
    await source.close();
  }
}

async function sourceOf({ operation, addresses }: Load): Promise<Source> {
  switch (operation.kind) {
    case 'function':
      return await functionSource(addresses[0] ?? '', operation);
    case 'copy':
      return await copySource(addresses[0] ?? '', operation);
    default:
      return await callSource(addresses, operation);
  }
}
