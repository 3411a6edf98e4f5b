/** Charts of the soak: memory, and how late the event loop was. */
import type { Lines } from '../charts/chart.ts';
import type { SoakResult, SoakSample } from './soak.ts';

export const memory = ({ samples, perSecond, memoryRatio, memoryMaxMb }: SoakResult): Lines => ({
  kind: 'lines',
  title: 'Memory of the service, in MB',
  about:
    `Mixed load at half of the maximum, ${Math.round(perSecond)} jobs a second. At most ${Math.round(memoryMaxMb)} MB resident; ` +
    `at the end ${memoryRatio.toFixed(2)} times what it was after the first minute.`,
  series: [
    { name: 'resident', tone: 'blue' },
    { name: 'heap', tone: 'orange' },
  ],
  rows: rowsOf(samples, ({ rssMb, heapMb }) => [rssMb, heapMb]),
  show: (value) => value.toFixed(0),
});

export const delay = ({ samples }: SoakResult): Lines => ({
  kind: 'lines',
  title: 'Delay of the event loop, in ms',
  about: 'The 99th percentile of each five seconds.',
  series: [{ name: 'delay', tone: 'blue' }],
  rows: rowsOf(samples, ({ loopDelayMs }) => [loopDelayMs]),
  show: (value) => value.toFixed(1),
});

const rowsOf = (
  samples: readonly SoakSample[],
  of: (sample: SoakSample) => readonly number[],
): Lines['rows'] => samples.map((sample) => ({ label: `${sample.second} s`, figures: of(sample) }));
