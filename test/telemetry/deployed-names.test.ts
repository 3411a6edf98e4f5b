/**
 * Rules, dashboards, runbook and collector of deploy/observability name only what the service has: metrics, labels
 * and their values, attributes of spans. Each alert has its section in the runbook.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { SLOS } from '../../deploy/observability/source/slos.ts';
import { written } from '../../deploy/observability/source/written.ts';
import { environment } from '../../src/config.ts';
import { ErrorReason } from '../../src/gen/billing/v1/error_reason.ts';
import { METHODS } from '../../src/policy/methods.ts';
import { ATTRIBUTES } from '../../src/telemetry/attributes.ts';
import { METRIC_ATTRIBUTES, METRICS, type Metric } from '../../src/telemetry/metrics.ts';
import { prometheusName, toLabel } from '../../src/telemetry/prometheus-names.ts';
import { parseQuery, type Query } from '../observability/promql.ts';
import { PANELS, QUERIES, TARGETS } from '../observability/queries.ts';
import { ALERT_RULES, ALERTS, DEPLOYED, RECORDING_RULES } from '../observability/rule-files.ts';

const read = (path: string): string => readFileSync(`${DEPLOYED}${path}`, 'utf8');
const RUNBOOK = read('RUNBOOK.md');

/** The labels of each series, beside those that Prometheus adds. */
const SERIES = new Map<string, readonly string[]>();
for (const [name, metric] of Object.entries(METRICS) as [string, Metric][]) {
  const labels = metric.attributes.map(toLabel);
  const prometheus = prometheusName(name, metric);
  if (metric.kind !== 'histogram') SERIES.set(prometheus, labels);
  else {
    for (const part of ['sum', 'count']) SERIES.set(`${prometheus}_${part}`, labels);
    SERIES.set(`${prometheus}_bucket`, [...labels, 'le']);
  }
}
for (const { record, expr } of RECORDING_RULES) SERIES.set(record, parseQuery(expr).groupedBy);

const OF_PROMETHEUS = ['job', 'instance'];

/** The values that a label can have, where they are known. */
const VALUES = new Map<string, readonly string[]>(
  Object.entries(METRIC_ATTRIBUTES).flatMap(([name, { values }]) =>
    values ? [[toLabel(name), values]] : [],
  ),
);
VALUES.set('scrip_reason', Object.keys(ErrorReason));
VALUES.set('rpc_status_code', Object.keys(status));
VALUES.set(
  'rpc_method',
  Object.keys(METHODS).map((method) => `billing.v1.BillingService/${method}`),
);
VALUES.set('job', ['scrip']);
VALUES.set(
  'le',
  Object.values(METRICS).flatMap((metric: Metric) => (metric.buckets ?? []).map(String)),
);

/** `a(b|c)` is ab and ac. */
function alternativesOf(regex: string): readonly string[] {
  const [, prefix = '', inner = regex] = /^(.*)\(([^()]*)\)$/.exec(regex) ?? [];
  return inner.split('|').map((each) => prefix + each);
}

function problemsOf({ selectors, groupedBy }: Query): readonly string[] {
  const problems = selectors.flatMap(({ series, matchers }) => {
    const labels = SERIES.get(series);
    if (!labels) return [`no metric makes ${series}`];
    return matchers.flatMap(({ label, operator, value }) => {
      if (![...labels, ...OF_PROMETHEUS].includes(label))
        return [`${series} has no label ${label}`];
      const known = VALUES.get(label);
      const asked = operator.includes('~') ? alternativesOf(value) : [value];
      return asked
        .filter((one) => known && !known.some((each) => new RegExp(`^(?:${one})$`).test(each)))
        .map((one) => `${label} is never ${one}`);
    });
  });
  const labels = selectors.flatMap(({ series }) => SERIES.get(series) ?? []);
  const unknown = groupedBy.filter((label) => ![...labels, ...OF_PROMETHEUS].includes(label));
  return [...problems, ...unknown.map((label) => `nothing has the label ${label}`)];
}

/** What `$labels.name` or `{{name}}` in a text can be. */
const labelsOf = (expr: string): readonly string[] => {
  const { selectors, groupedBy } = parseQuery(expr);
  return [
    ...groupedBy,
    ...selectors.flatMap(({ series }) => SERIES.get(series) ?? []),
    ...OF_PROMETHEUS,
  ];
};

test('what is written from the sources is up to date: npm run observability', () => {
  for (const [path, content] of Object.entries(written())) expect(read(path), path).toBe(content);
});

describe('queries', () => {
  test.each(QUERIES)('$where: $expr', ({ expr }) => {
    const query = parseQuery(expr);
    expect(query.selectors).not.toEqual([]);
    expect(problemsOf(query)).toEqual([]);
  });

  test('a name that is not in the table is found', () => {
    const wrong =
      'sum by (scrip_plan) (rate(scrip_refusals_total{reason="A",scrip_reason=~"B|OVERLOADED"}[5m]))';
    expect(problemsOf(parseQuery(wrong))).toEqual([
      'scrip_refusals_total has no label reason',
      'scrip_reason is never B',
      'nothing has the label scrip_plan',
    ]);
    expect(problemsOf(parseQuery('scrip_lane_wait_bucket'))).toHaveLength(1);
    expect(() => parseQuery('sum(scrip_lane_queue')).toThrow();
  });

  test('show every metric on a dashboard', () => {
    const shown = TARGETS.flatMap(({ expr }) => parseQuery(expr).selectors);
    const names = new Set(shown.map(({ series }) => series.replace(/_(bucket|sum|count)$/, '')));
    const recorded = RECORDING_RULES.filter(({ record }) => names.has(record));
    for (const { expr } of recorded)
      for (const { series } of parseQuery(expr).selectors) names.add(series.replace(/_count$/, ''));
    const missing = (Object.entries(METRICS) as [string, Metric][])
      .map(([name, metric]) => prometheusName(name, metric).replace(/_count$/, ''))
      .filter((name) => !names.has(name));
    expect(missing).toEqual([]);
  });
});

describe('texts', () => {
  test.each(ALERT_RULES)('$alert names labels that it has', ({ expr, labels, annotations }) => {
    const named = [
      ...Object.values(annotations)
        .join()
        .matchAll(/\$labels\.(\w+)/g),
    ];
    for (const [, name] of named)
      expect([...labelsOf(expr), ...Object.keys(labels)]).toContain(name);
  });

  test.each(TARGETS)('the legend of $where names labels that it has', ({ expr, legendFormat }) => {
    for (const [, name] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
      expect(labelsOf(expr)).toContain(name);
  });
});

test.each(PANELS)('panels of $file fill lines and do not overlap', ({ panels }) => {
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
  expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBe(24);
});

describe('the runbook', () => {
  const sections = new Map(
    RUNBOOK.split(/^## /m)
      .slice(1)
      .map((section) => [section.slice(0, section.indexOf('\n')), section]),
  );

  test('has a section for each alert, and no other', () => {
    expect([...sections.keys()].toSorted()).toEqual(ALERTS.toSorted());
  });

  test.each(ALERTS)('says of %s how urgent it is, how to look and what to do', (alert) => {
    const rules = ALERT_RULES.filter((rule) => rule.alert === alert);
    const section = sections.get(alert) ?? '';
    const urgency = { page: 'Page', ticket: 'Ticket' }[rules[0]?.labels['severity'] ?? ''];
    expect(section).toMatch(new RegExp(`^${alert}\\n\\n${urgency}[.;]`));
    expect(section).toMatch(/\nDo:[ \n]/);
    expect(section).toMatch(/\nLook:[ \n]/);
    for (const { annotations } of rules)
      expect(annotations['runbook_url']).toBe(
        `deploy/observability/RUNBOOK.md#${alert.toLowerCase()}`,
      );
  });

  test('names attributes, metrics, reasons and variables that there are', () => {
    const spans = [...RUNBOOK.matchAll(/`((?:scrip|rpc)\.[\w.]+)`/g)].map(([, name]) => name);
    expect(spans.length).toBeGreaterThan(3);
    for (const name of spans)
      expect([...Object.keys(ATTRIBUTES), ...Object.keys(METRICS)]).toContain(name);
    const words = [...RUNBOOK.matchAll(/\b([A-Z]+(?:_[A-Z]+)+)\b/g)].map(([, name]) => name ?? '');
    const known = [
      ...Object.keys(ErrorReason),
      ...Object.keys(status),
      ...Object.keys(environment.shape),
      ...['STATE_DEAD', 'SCRIP_ADDRESS'],
    ];
    expect(words.filter((name) => !name.startsWith('OTEL_') && !known.includes(name))).toEqual([]);
  });

  test.each(['RUNBOOK.md', 'README.md'])('links of %s lead somewhere', (page) => {
    const links = [...read(page).matchAll(/\]\(([^)#]*)(?:#([\w-]+))?\)/g)];
    expect(links.length).toBeGreaterThan(5);
    for (const [, path = '', anchor] of links) {
      const file = path === '' ? join(DEPLOYED, page) : join(DEPLOYED, dirname(page), path);
      expect(existsSync(file), path).toBe(true);
      if (anchor === undefined) continue;
      const headings = [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)];
      const anchors = headings.map(([, heading = '']) =>
        heading
          .toLowerCase()
          .replaceAll(/[^\w\- ]/g, '')
          .replaceAll(' ', '-'),
      );
      expect(anchors, `${path}#${anchor}`).toContain(anchor);
    }
  });
});

describe('the collector', () => {
  const configuration = read('collector.yaml');

  test('decides by attributes that spans have', () => {
    const named = [...configuration.matchAll(/attributes\["([^"]+)"\]/g)].map(([, name]) => name);
    expect(named.length).toBeGreaterThan(5);
    for (const name of named) expect(Object.keys(ATTRIBUTES)).toContain(name);
  });

  test('has the same calls and the same limit as ChargeSlow', () => {
    const slow = SLOS.find(({ alert }) => alert === 'ChargeSlow')?.badShare('5m') ?? '';
    const [, methods = ''] = /Service\/\(([^)]*)\)/.exec(slow) ?? [];
    expect(configuration).toContain(`Service/(${methods}|Batch)$`);
    expect(slow).toContain('le="0.25"');
    expect(configuration).toContain('end_time - start_time > Duration("250ms")');
  });
});
