/** Every query in deploy/observability: of rules, panels and the runbook. */
import { globSync, readFileSync } from 'node:fs';
import { ALERT_RULES, DEPLOYED, RECORDING_RULES } from './rule-files.ts';

const read = (path: string): string => readFileSync(`${DEPLOYED}${path}`, 'utf8');

type Panel = {
  readonly title: string;
  readonly type: string;
  readonly id: number;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
};
export const PANELS = globSync('dashboards/*.json', { cwd: DEPLOYED })
  .toSorted()
  .map((file) => ({
    file,
    panels: (JSON.parse(read(file)) as { readonly panels: readonly Panel[] }).panels,
  }));
export const TARGETS = PANELS.flatMap(({ file, panels }) =>
  panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr, legendFormat }) => ({
      where: `${file}: ${title}`,
      expr: expr.replaceAll('$__rate_interval', '5m'),
      legendFormat,
    })),
  ),
);
const RUNBOOK_QUERIES = [...read('RUNBOOK.md').matchAll(/```promql\n([\s\S]*?)```/g)]
  .flatMap(([, block = '']) => block.trim().split('\n'))
  .map((expr) => ({ where: 'RUNBOOK.md', expr }));
const RULE_QUERIES = [
  ...RECORDING_RULES.map(({ record, expr }) => ({ where: record, expr })),
  ...ALERT_RULES.map(({ alert, expr }) => ({ where: alert, expr })),
];
export const QUERIES = [...RULE_QUERIES, ...TARGETS, ...RUNBOOK_QUERIES];
