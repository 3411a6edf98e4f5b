/** The chart, rendered by Helm for the sets of values in deploy/chart/ci. */
import { parseAllDocuments } from 'yaml';
import { type Ran, runTool } from './tools.ts';

export const SETS = ['minimal', 'production', 'cloudnative-pg', 'mesh', 'cells'] as const;
export type Set = (typeof SETS)[number];

export type Resource = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: schemas check what it is, and tests read a few fields.
  readonly spec: any;
  readonly data?: Readonly<Record<string, string>>;
};

/** The plans are files of their own, as they are in an operator's repository. */
const PLANS = ['--set-file', 'plans.files.verts\\.yaml=deploy/plans/verts.yaml'];

const valuesOf = (set: Set): readonly string[] => [
  ...['--values', `deploy/chart/ci/${set}-values.yaml`],
  ...(set === 'production' ? PLANS : []),
];

export const lint = (set: Set): Promise<Ran> =>
  runTool('helm', ['lint', 'deploy/chart', '--strict', '--quiet', ...valuesOf(set)]);

export const template = (set: Set, ...args: readonly string[]): Promise<Ran> =>
  runTool('helm', [
    ...['template', 'ledger', 'deploy/chart', '--namespace', 'billing', '--kube-version', '1.34.0'],
    ...valuesOf(set),
    ...args,
  ]);

/** The resources of a set, as YAML. Throws with Helm's error. */
export async function render(set: Set, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await template(set, ...args);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

export const resourcesOf = (yaml: string): readonly Resource[] =>
  parseAllDocuments(yaml)
    .map((document) => document.toJS() as Resource | null)
    .filter((resource) => resource !== null);

/** The only one of this kind. */
export function theOnly(resources: readonly Resource[], kind: string, ending = ''): Resource {
  const [found, ...others] = resources.filter(
    (each) => each.kind === kind && each.metadata.name.endsWith(ending),
  );
  if (!found || others.length > 0) throw new Error(`not one ${kind}`);
  return found;
}
