/** The rules of Prometheus in deploy/observability. */
import { globSync, readFileSync } from 'node:fs';
import { parse, stringify } from 'yaml';

export const DEPLOYED = new URL('../../deploy/observability/', import.meta.url).pathname;

export type AlertRule = {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
};
type RecordingRule = { readonly record: string; readonly expr: string };
type RuleFile = {
  readonly groups: readonly { readonly rules: readonly (AlertRule | RecordingRule)[] }[];
};

export const RULE_FILES = globSync(`${DEPLOYED}rules/*.yaml`).toSorted();

const RULES = RULE_FILES.flatMap((path) => {
  const { groups } = parse(readFileSync(path, 'utf8')) as RuleFile;
  return groups.flatMap(({ rules }) => rules);
});

/** The file with alerts that do not wait before they fire. */
export function withoutWaiting(path: string): string {
  const { groups } = parse(readFileSync(path, 'utf8')) as RuleFile;
  const changed = groups.map(({ rules, ...group }) => ({
    ...group,
    rules: rules.map((rule) => ('alert' in rule ? { ...rule, for: '0s' } : rule)),
  }));
  return stringify({ groups: changed }, { lineWidth: 0 });
}

export const ALERT_RULES = RULES.filter((rule) => 'alert' in rule);
export const RECORDING_RULES = RULES.filter((rule) => 'record' in rule);
export const ALERTS = [...new Set(ALERT_RULES.map(({ alert }) => alert))];
