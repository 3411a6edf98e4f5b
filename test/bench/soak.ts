/** The soak: ten minutes of mixed load at half of the maximum rate. Measures how memory develops. */
import { type Measured, measure } from './measure.ts';
import { median } from './median.ts';
import type { Extent } from './options.ts';
import type { Progress } from './progress.ts';
import type { Testbed } from './testbed.ts';

export type SoakSample = {
  readonly second: number;
  readonly rssMb: number;
  readonly heapMb: number;
  readonly loopDelayMs: number;
};

export type SoakResult = {
  readonly perSecond: number;
  readonly measured: Measured;
  readonly samples: readonly SoakSample[];
  /** Resident memory at the end / after the first minute. */
  readonly memoryRatio: number;
  readonly memoryMaxMb: number;
};

const EVERY_MS = 5_000;
const SAMPLES_PER_MINUTE = 60_000 / EVERY_MS;

export async function measureSoak(
  testbed: Testbed,
  { soakMs }: Extent,
  perSecond: number,
  progress: Progress,
): Promise<SoakResult> {
  // A new process, like a replica that was just deployed.
  const service = await testbed.startServiceOn('soak');
  const samples: SoakSample[] = [];
  const begun = performance.now();
  const sampling = setInterval(async () => {
    const { rssBytes, heapBytes, loopDelayMs } = await service.usage();
    const second = Math.round((performance.now() - begun) / 1000);
    samples.push({ second, rssMb: rssBytes / 2 ** 20, heapMb: heapBytes / 2 ** 20, loopDelayMs });
    progress.doing('soak', `${second} s, ${Math.round(rssBytes / 2 ** 20)} MB resident`);
  }, EVERY_MS);
  try {
    const measured = await measure(testbed.processes(service), {
      operation: { kind: 'mixed' },
      addresses: [service.address],
      inFlight: 64,
      perSecond,
      warmUpMs: 5_000,
      durationMs: soakMs,
    });
    progress.measured({ title: 'Soak, mixed at half load', unit: 'operation' }, measured);
    const memory = samples.map(({ rssMb }) => rssMb);
    // Medians: a single garbage collection more or less must not decide.
    const atEnd = median(memory.slice(-SAMPLES_PER_MINUTE));
    const afterFirstMinute = median(memory.slice(SAMPLES_PER_MINUTE, SAMPLES_PER_MINUTE * 1.5));
    return {
      perSecond,
      measured,
      samples,
      memoryRatio: atEnd / afterFirstMinute,
      memoryMaxMb: Math.max(...memory),
    };
  } finally {
    clearInterval(sampling);
    await testbed.stop(service);
  }
}
