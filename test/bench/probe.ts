/**
 * Loaded into every server that the benchmark starts (`node --import`). On request over IPC it reports
 * CPU time, memory and event-loop delay, and records CPU profiles.
 */
import { writeFile } from 'node:fs/promises';
import { Session } from 'node:inspector/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';

export type ProbeRequest =
  | { readonly id: number; readonly ask: 'usage' }
  | { readonly id: number; readonly ask: 'start profile' }
  | { readonly id: number; readonly ask: 'write profile'; readonly file: string };

export type ServerUsage = {
  readonly cpuMicros: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** 99th percentile since the previous report. */
  readonly loopDelayMs: number;
};

const RESOLUTION_MS = 5;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
const session = new Session();

async function answer(request: ProbeRequest): Promise<ServerUsage | null> {
  switch (request.ask) {
    case 'usage':
      return usage();
    case 'start profile':
      session.connect();
      await session.post('Profiler.enable');
      await session.post('Profiler.setSamplingInterval', { interval: 250 });
      await session.post('Profiler.start');
      return null;
    case 'write profile': {
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
  // The monitor's timer fires only every RESOLUTION_MS, which is no delay.
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
// The channel does not keep the server alive. When the benchmark ends, so does the server.
process.channel?.unref();
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
