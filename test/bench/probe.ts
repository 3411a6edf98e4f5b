/**
 * Loaded first into every server the bench starts (`node --import`): answers over IPC what the
 * process used and how late its event loop was, and records CPU profiles. Idle until request.
 */
import { writeFile } from 'node:fs/promises';
import { Session } from 'node:inspector/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';

export type ProbeRequest =
  | { readonly id: number; readonly ask: 'usage' }
  | { readonly id: number; readonly ask: 'profile' }
  | { readonly id: number; readonly ask: 'profiled'; readonly file: string };

export type ServerUsage = {
  readonly cpuMicros: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** 99th percentile since it was last request. */
  readonly loopDelayMs: number;
};

const RESOLUTION_MS = 5;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
const session = new Session();

async function answer(request: ProbeRequest): Promise<ServerUsage | null> {
  switch (request.ask) {
    case 'usage':
      return usage();
    case 'profile':
      session.connect();
      await session.post('Profiler.enable');
      await session.post('Profiler.setSamplingInterval', { interval: 250 });
      await session.post('Profiler.start');
      return null;
    case 'profiled': {
      const { profile } = await session.post('Profiler.stop');
      session.disconnect();
      await writeFile(request.file, JSON.stringify(profile));
      return null;
    }
  }
}

function usage(): ServerUsage {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  // The monitor's timer is itself due only every RESOLUTION_MS.
  const loopDelayMs = Math.max(0, delay.percentile(99) / 1e6 - RESOLUTION_MS);
  delay.reset();
  delay.enable();
  return { cpuMicros: user + system, rssBytes: rss, heapBytes: heapUsed, loopDelayMs };
}

process.on('message', (request: ProbeRequest) => {
  void answer(request).then(
    (answered) => process.send?.({ id: request.id, answered }),
    (error: Error) => process.send?.({ id: request.id, error: error.message }),
  );
});
// The server decides when it ends, and when the bench is gone it ends too.
process.channel?.unref();
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
