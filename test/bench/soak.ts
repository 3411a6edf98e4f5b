/** The soak: a mixed load at half of what the service can do, for ten minutes, and what becomes of it. */
import { type Measured, measure } from './measure.ts';
import type { Extent } from './options.ts';
import type { Progress } from './progress.ts';
import type { Stage } from './stage.ts';

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
/** Medians over so many samples: one collection of garbage more or less decides nothing. */
const SAMPLES_PER_MINUTE = 60_000 / EVERY_MS;

export async function measureSoak(
  stage: Stage,
  { soakMs }: Extent,
  perSecond: number,
  progress: Progress,
): Promise<SoakResult> {
  // A process of its own, as young as a replica that was just deployed.
  const service = await stage.serviceOn('soak');
  const samples: SoakSample[] = [];
  const begun = performance.now();
  const sampling = setInterval(async () => {
    const { rssBytes, heapBytes, loopDelayMs } = await service.usage();
    const second = Math.round((performance.now() - begun) / 1000);
    samples.push({ second, rssMb: rssBytes / 2 ** 20, heapMb: heapBytes / 2 ** 20, loopDelayMs });
    progress.doing('soak', `${second} s, ${Math.round(rssBytes / 2 ** 20)} MB resident`);
  }, EVERY_MS);
  try {
    const measured = await measure(stage.measuring(service), {
      operation: { kind: 'mixed' },
      addresses: [service.address],
      inFlight: 64,
      perSecond,
      warmUpMs: 5_000,
      durationMs: soakMs,
    });
    progress.measured({ title: 'Soak, mixed at half load', unit: 'operation' }, measured);
    const memory = samples.map(({ rssMb }) => rssMb);
    const late = middle(memory.slice(-SAMPLES_PER_MINUTE));
    const early = middle(memory.slice(SAMPLES_PER_MINUTE, SAMPLES_PER_MINUTE * 1.5));
    return {
      perSecond,
      measured,
      samples,
      memoryRatio: late / early,
      memoryMaxMb: Math.max(...memory),
    };
  } finally {
    clearInterval(sampling);
    await stage.stop(service);
  }
}

const middle = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
