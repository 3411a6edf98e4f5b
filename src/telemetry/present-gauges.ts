/** Gauges that are not reported any more are missing: the SDK would repeat their last values for ever. */
import {
  AggregationTemporality,
  type AggregationTemporalitySelector,
  InstrumentType,
} from '@opentelemetry/sdk-metrics';

/** What has no temporality of its own is collected as what has changed: the values of this collection alone. */
export const withPresentGauges =
  (ofOthers: AggregationTemporalitySelector): AggregationTemporalitySelector =>
  (type) =>
    type === InstrumentType.OBSERVABLE_GAUGE ? AggregationTemporality.DELTA : ofOthers(type);
