/** How Prometheus names metrics and attributes, by OpenTelemetry's rules for it. */
import type { Metric } from './metrics.ts';

/** What the unit adds to a name. Units in braces, such as `{call}`, add nothing. */
export function unitSuffix({ kind, unit }: Pick<Metric, 'kind' | 'unit'>): string {
  if (unit === 's') return '_seconds';
  if (unit === 'By') return '_bytes';
  return unit === '1' && kind === 'gauge' ? '_ratio' : '';
}

/** Such as `scrip_refusals_total`. A histogram has this name with `_bucket`, `_sum` and `_count`. */
export function prometheusName(name: string, metric: Pick<Metric, 'kind' | 'unit'>): string {
  return `${toLabel(name)}${unitSuffix(metric)}${metric.kind === 'counter' ? '_total' : ''}`;
}

/** The name of an attribute as a label, such as `rpc_method`. */
export const toLabel = (name: string): string => name.replaceAll(/[^a-zA-Z0-9_]/g, '_');
