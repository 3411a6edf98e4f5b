/** Helm packs no file from outside the chart: alerts and dashboards of `deploy/observability` are in it a second time. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const deploy = new URL('../deploy/', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, deploy), 'utf8');

test.each([
  'rules/alerts.yaml',
  'rules/slos.yaml',
  'dashboards/ledger.json',
  'dashboards/service.json',
])('the chart has %s as it is', (path) => {
  const [, name = ''] = path.split('/');
  expect(read(`chart/files/${name}`)).toBe(read(`observability/${path}`));
});
