/** The instruments of all metrics, with the attributes that the table declares. */
import type { Meter, Observable } from '@opentelemetry/api';
import {
  type AttributesOf,
  METRIC_ATTRIBUTES,
  METRICS,
  type Metric,
  type MetricName,
} from './metrics.ts';

type Counter<Attributes> = { add(value: number, attributes: Attributes): void };
type Histogram<Attributes> = { record(value: number, attributes: Attributes): void };
type Observed<Attributes> = {
  /** `read` is called when metrics are collected. What it does not report is missing then. */
  observe(read: (report: (value: number, attributes: Attributes) => void) => void): void;
};

type InstrumentOf<Name extends MetricName> = (typeof METRICS)[Name] extends { isObserved: true }
  ? Observed<AttributesOf<Name>>
  : {
      readonly counter: Counter<AttributesOf<Name>>;
      readonly histogram: Histogram<AttributesOf<Name>>;
      readonly gauge: Observed<AttributesOf<Name>>;
    }[(typeof METRICS)[Name]['kind']];

export type Instruments = { readonly [Name in MetricName]: InstrumentOf<Name> };

export function createInstruments(meter: Meter): Instruments {
  const names = Object.keys(METRICS) as MetricName[];
  const instruments = names.map((name) => [name, createInstrument(meter, name, METRICS[name])]);
  return Object.fromEntries(instruments) as Instruments;
}

function createInstrument(meter: Meter, name: MetricName, metric: Metric) {
  const { kind, unit, meaning: description, buckets, isObserved } = metric;
  switch (kind) {
    case 'counter': {
      if (isObserved) return observed(meter.createObservableCounter(name, { unit, description }));
      const counter = meter.createCounter(name, { unit, description });
      // Prometheus sees no increase in a series that begins with 1.
      for (const attributes of knownAttributes(metric)) counter.add(0, attributes);
      return counter;
    }
    case 'histogram':
      return meter.createHistogram(name, {
        unit,
        description,
        advice: { explicitBucketBoundaries: [...(buckets ?? [])] },
      });
    case 'gauge':
      return observed(meter.createObservableGauge(name, { unit, description }));
  }
}

const observed = (instrument: Observable): Observed<object> => ({
  observe: (read) =>
    instrument.addCallback((result) =>
      read((value, attributes) => result.observe(value, { ...attributes })),
    ),
});

/** All attributes that a metric can have; none where their values are not listed. */
function knownAttributes({ attributes }: Metric): readonly Record<string, string>[] {
  let known: readonly Record<string, string>[] = [{}];
  for (const name of attributes) {
    const values = METRIC_ATTRIBUTES[name].values ?? [];
    known = known.flatMap((others) => values.map((value) => ({ ...others, [name]: value })));
  }
  return known;
}
