/** Facts in, findings out. */
import { clock, host, reach, roles, schema } from './access-rules.ts';
import type { Facts, Finding, Rule } from './facts.ts';
import { connections, session, settings, version } from './server-rules.ts';
import { audit, disks, durability, vacuum } from './storage-rules.ts';

const RULES: readonly Rule[] = [
  version,
  schema,
  settings,
  session,
  connections,
  durability,
  vacuum,
  audit,
  disks,
  clock,
  roles,
  reach,
  host,
];

const LEVELS = ['error', 'warning', 'note'] as const;

export type Diagnosis = { readonly checks: number; readonly findings: readonly Finding[] };

/** What is wrong, the worst first. `checks` is how many rules were applied. */
export function diagnose(facts: Facts): Diagnosis {
  const all = RULES.flatMap((rule) => rule(facts));
  const findings = all
    .filter((finding) => finding !== null)
    .toSorted((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level));
  return { checks: all.length, findings };
}
