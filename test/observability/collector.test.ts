/** The collector keeps what somebody will look for: a real one, with the configuration of deploy/observability. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { beforeAll, describe, expect, test } from 'vitest';
import type { AttributeName, Attributes } from '../../src/telemetry/attributes.ts';
import { SPANS, type SpanName } from '../../src/telemetry/spans.ts';
import { snippet } from '../docs/snippets.ts';
import {
  buildCollector,
  CONFIGURATION,
  canBuild,
  SOURCE,
  startCollector,
  validate,
} from './real-collector.ts';

test('the page builds and starts what is built and started here', () => {
  const commands = snippet('deploy/observability/README.md', 'cd deploy/observability/collector');
  const [, folder = '', file = ''] =
    /^cd (\S+) && go build .*\nOTLP_EXPORT_ENDPOINT=\S+ \.\/collector --config (\S+)\n$/.exec(
      commands,
    ) ?? [];
  const built = new URL(`../../${folder}/`, import.meta.url);
  expect(built.pathname).toBe(`${fileURLToPath(pathToFileURL(SOURCE))}/`);
  expect(new URL(file, built).pathname).toBe(fileURLToPath(pathToFileURL(CONFIGURATION)));
  expect(readFileSync(CONFIGURATION, 'utf8')).toContain('{env:OTLP_EXPORT_ENDPOINT}');
});

type Recorded = {
  /** What the test calls it. */
  readonly name: string;
  readonly of: SpanName;
  readonly milliseconds: number;
  readonly attributes?: Attributes;
  readonly isError?: true;
  /** Has a parent of another service in its trace. */
  readonly isCalled?: true;
};

const CHARGE: Attributes = { 'rpc.method': 'billing.v1.BillingService/Charge' };
const BATCH: Attributes = { 'rpc.method': 'billing.v1.BillingService/Batch' };
const UNIT: Attributes = { 'scrip.unit.outcome': 'committed', 'scrip.unit.attempt': 1 };

const KEPT: readonly Recorded[] = [
  { name: 'call that failed', of: 'rpc', milliseconds: 5, isError: true },
  {
    name: 'charge that was refused',
    of: 'rpc',
    milliseconds: 5,
    attributes: { ...CHARGE, 'scrip.reason': 'INSUFFICIENT_CREDITS' },
  },
  {
    name: 'Batch with a refused mutation',
    of: 'rpc',
    milliseconds: 5,
    attributes: { ...BATCH, 'scrip.batch.refused': 1 },
  },
  { name: 'slow charge', of: 'rpc', milliseconds: 260, attributes: CHARGE },
  {
    name: 'charge whose unit of work was slow',
    of: 'rpc',
    milliseconds: 200,
    attributes: { ...CHARGE, 'scrip.unit.save_commit': 0.15 },
  },
  { name: 'slow unit of work', of: 'unit of work', milliseconds: 120, attributes: UNIT },
  { name: 'unit of work that failed', of: 'unit of work', milliseconds: 5, isError: true },
  {
    name: 'unit of work that found no database',
    of: 'unit of work',
    milliseconds: 5,
    attributes: { ...UNIT, 'scrip.unit.outcome': 'unavailable' },
  },
  {
    name: 'unit of work that ran again',
    of: 'unit of work',
    milliseconds: 5,
    attributes: { ...UNIT, 'scrip.unit.attempt': 2 },
  },
  { name: 'delivery that failed', of: 'deliver event', milliseconds: 5, isError: true },
  {
    name: 'charge that another service made, and that was refused',
    of: 'rpc',
    milliseconds: 5,
    attributes: { ...CHARGE, 'scrip.reason': 'RESERVATION_EXPIRED' },
    isCalled: true,
  },
];

const REST: readonly Recorded[] = [
  { name: 'charge', of: 'rpc', milliseconds: 5, attributes: CHARGE },
  { name: 'unit of work', of: 'unit of work', milliseconds: 5, attributes: UNIT },
  {
    name: 'Batch',
    of: 'rpc',
    milliseconds: 5,
    attributes: { ...BATCH, 'scrip.batch.refused': 0 },
  },
  {
    name: 'stream that was followed for an hour',
    of: 'rpc',
    milliseconds: 3_600_000,
    attributes: { 'rpc.method': 'billing.v1.BillingService/StreamHistory' },
  },
  { name: 'sweep', of: 'sweep', milliseconds: 800 },
];

/** As OTLP has it in JSON. */
const otlpValue = (value: unknown) => {
  if (typeof value === 'string') return { stringValue: value };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
};

const STARTED = 1_700_000_000_000;
const nanoseconds = (milliseconds: number): string => `${STARTED + milliseconds}000000`;

function spansOf({ name, of, milliseconds, attributes = {}, isError, isCalled }: Recorded) {
  const allowed: readonly AttributeName[] = SPANS[of].attributes;
  for (const key of Object.keys(attributes)) expect(allowed, of).toContain(key);
  const traceId = randomBytes(16).toString('hex');
  const times = { startTimeUnixNano: nanoseconds(0), endTimeUnixNano: nanoseconds(milliseconds) };
  const caller = { traceId, spanId: randomBytes(8).toString('hex'), name: 'caller', ...times };
  const span = {
    ...times,
    traceId,
    spanId: randomBytes(8).toString('hex'),
    parentSpanId: isCalled ? caller.spanId : '',
    name,
    // OTLP counts kinds from 1, the API from 0.
    kind: (SPANS[of].kind as SpanKind) + 1,
    attributes: Object.entries(attributes).map(([key, value]) => ({
      key,
      value: otlpValue(value),
    })),
    status: { code: isError ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
  };
  return isCalled ? [caller, span] : [span];
}

describe.runIf(canBuild)('the collector', () => {
  beforeAll(buildCollector);

  /** The names of the spans that it keeps of these. */
  async function kept(recorded: readonly Recorded[], samplingPercent: number) {
    const { url, stop } = await startCollector(samplingPercent);
    const answer = await fetch(`${url}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        resourceSpans: [{ scopeSpans: [{ spans: recorded.flatMap(spansOf) }] }],
      }),
    });
    const spans = await stop();
    expect(answer.status).toBe(200);
    return spans.map(({ name }) => name).toSorted();
  }
  const namesOf = (recorded: readonly Recorded[]) =>
    [...recorded.map(({ name }) => name), 'caller'].toSorted();

  test('has what the configuration names', async () => {
    await validate();
  });

  test('keeps faults, refusals, slow charges and their units of work, and whole traces', async () => {
    expect(await kept([...KEPT, ...REST], 0)).toEqual(namesOf(KEPT));
  });

  test('keeps the share of the rest that it is told', async () => {
    expect(await kept([...KEPT, ...REST], 100)).toEqual(namesOf([...KEPT, ...REST]));
  });
});
