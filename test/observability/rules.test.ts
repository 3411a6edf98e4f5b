/** The rules of Prometheus, checked by its promtool: each alert fires when it should, and does not when it should not. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { ALERT_CASES, type AlertCase, type Firing } from './alert-cases.ts';
import { QUERIES } from './queries.ts';
import { ALERT_RULES, ALERTS, DEPLOYED, RULE_FILES } from './rule-files.ts';
import { SLO_CASES } from './slo-cases.ts';

const isPresent = spawnSync('promtool', ['--version'], { stdio: 'ignore' }).status === 0;
if (!isPresent)
  process.stderr.write("skipped: the rules, which need promtool (Debian's package prometheus)\n");

const CASES = [...ALERT_CASES, ...SLO_CASES];
const run = promisify(execFile);

/** What promtool expects of an alert: all labels and annotations. Only the summary has values in it. */
function expectedOf(alert: string, { labels = {}, summary }: Firing) {
  const rule = ALERT_RULES.find(
    (each) =>
      each.alert === alert &&
      Object.entries(labels).every(([name, value]) => (each.labels[name] ?? value) === value),
  );
  return {
    exp_labels: { ...rule?.labels, ...labels },
    exp_annotations: { ...rule?.annotations, summary },
  };
}

const unitTest = ({ alert, series, minute, evaluation = '1m', firing }: AlertCase): string =>
  stringify({
    rule_files: RULE_FILES,
    evaluation_interval: evaluation,
    tests: [
      {
        interval: '1m',
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        alert_rule_test: [
          {
            alertname: alert,
            eval_time: `${minute}m`,
            exp_alerts: firing.map((each) => expectedOf(alert, each)),
          },
        ],
      },
    ],
  });

describe.runIf(isPresent)('rules', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'scrip-rules-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  test('are valid, and none is there twice', async () => {
    const { stdout } = await run('promtool', ['check', 'rules', '--lint-fatal', ...RULE_FILES]);
    expect(stdout.match(/SUCCESS: \d+ rules found/g)).toHaveLength(RULE_FILES.length);
  });

  test('of dashboards and runbook are valid, too', async () => {
    const path = join(directory, 'queries.yaml');
    const rules = QUERIES.map(({ expr }, index) => ({ record: `query_${index}`, expr }));
    await writeFile(path, stringify({ groups: [{ name: 'queries', rules }] }));
    const { stdout } = await run('promtool', ['check', 'rules', '--lint-fatal', path]);
    expect(stdout).toContain(`SUCCESS: ${QUERIES.length} rules found`);
  });

  test('are what the configuration reads', async () => {
    const { stdout } = await run('promtool', ['check', 'config', `${DEPLOYED}prometheus.yaml`]);
    expect(stdout).toContain(`SUCCESS: ${RULE_FILES.length} rule files found`);
  });

  test.each(ALERTS)('%s has situations in which it fires, and others', (alert) => {
    const fires = CASES.filter((each) => each.alert === alert).map(
      (each) => each.firing.length > 0,
    );
    expect(new Set(fires)).toEqual(new Set([true, false]));
  });

  const cases = CASES.map((each, index) => ({
    ...each,
    does: each.firing.length > 0 ? 'fires' : 'is quiet',
    file: `${each.alert}-${index}.yaml`,
  }));
  test.each(cases)('$alert $does: $situation', async ({ file, ...each }) => {
    const path = join(directory, file);
    await writeFile(path, unitTest(each));
    const { stdout, stderr } = await run('promtool', ['test', 'rules', path]).catch(
      (failed) => failed,
    );
    expect(`${stdout}${stderr}`).toContain('SUCCESS');
  });
});
