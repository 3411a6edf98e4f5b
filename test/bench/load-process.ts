/**
 * The load generator: a process of its own, so that its CPU time is measured apart from the servers'.
 * `load-client.ts` forks it.
 */
import { once } from 'node:events';
import { clientSource, meterSource } from './client-source.ts';
import { functionSource } from './hand-tuned.ts';
import { copySource } from './history-copy.ts';
import { runLoad, type Source } from './load.ts';
import type { Load, LoadEvent, LoadRequest } from './load-spec.ts';
import { callSource } from './sources.ts';

// grpc-js keeps the caller's stack of every call. Nobody reads it here.
Error.stackTraceLimit = 0;

const send = (event: LoadEvent) => void process.send?.(event);

process.on('message', (message: LoadRequest) => {
  if ('begin' in message) return;
  void run(message.load).then(
    (result) => send({ event: 'result', result }),
    (error: Error) => send({ event: 'failed', reason: error.message }),
  );
});

async function run(load: Load) {
  const source = await openSource(load);
  try {
    const begun = once(process, 'message');
    send({ event: 'prepared' });
    await begun;
    return await runLoad(source, load, (event) => send({ event }));
  } finally {
    await source.close();
  }
}

async function openSource({ operation, addresses, tls }: Load): Promise<Source> {
  switch (operation.kind) {
    case 'function':
      return await functionSource(addresses[0] ?? '', operation);
    case 'client':
      return clientSource(addresses[0] ?? '', operation);
    case 'meter':
      return await meterSource(addresses[0] ?? '', operation);
    case 'copy':
      return await copySource(addresses[0] ?? '', operation);
    default:
      return await callSource(addresses, operation, tls);
  }
}
