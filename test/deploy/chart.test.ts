/** The chart renders what Kubernetes and the operators accept, and what the service can be started with. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { parseCellsFile } from '../../src/cells/cells-file.ts';
import { readConfig } from '../../src/config.ts';
import { readPlanFiles } from '../../src/plan-files.ts';
import { parsePolicyFile } from '../../src/policy/policy-file.ts';
import { problemOf } from '../cli/documented-commands.ts';
import { codeOf } from '../docs/snippets.ts';
import {
  lint,
  render,
  resourcesOf,
  SETS,
  template,
  theOnly,
  type Set as ValueSet,
} from './chart.ts';
import { runTool } from './tools.ts';

const run = promisify(execFile);
const OPERATORS = /cert-manager\.io|coreos\.com|cnpg\.io/;
/** Modules that contain the definitions of their resources. CloudNativePG's cannot be had as a module. */
const DEFINITIONS = {
  'github.com/cert-manager/cert-manager@v1.21.2': ['deploy/crds/cert-manager.io_certificates.yaml'],
  'github.com/prometheus-operator/prometheus-operator@v0.85.0': [
    'example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml',
    'example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml',
  ],
};
const hasPromtool = spawnSync('promtool', ['--version'], { stdio: 'ignore' }).status === 0;

const inFolder = async (files: Readonly<Record<string, string>>): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'scrip-chart-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
};

describe.runIf(inject('hasGo')).each(SETS)('with the values %s', (set) => {
  let yaml: string;
  beforeAll(async () => {
    yaml = await render(set);
  });
  const resources = () => resourcesOf(yaml);
  const podOf = (name: string) => theOnly(resources(), name).spec.template.spec;
  const containerOf = () => podOf('Deployment').containers[0];

  test('Helm finds nothing wrong', async () => {
    const { code, stdout } = await lint(set);
    expect(code, stdout).toBe(0);
  });

  test.runIf(inject('hasPython'))('the schemas of Kubernetes hold', async () => {
    const own = resources().filter(({ apiVersion }) => !OPERATORS.test(apiVersion));
    const folder = await inFolder({ 'all.yaml': own.map((each) => stringify(each)).join('---\n') });
    const args = ['--strict', '--kubernetes-version', '1.37.0', join(folder, 'all.yaml')];
    const { code, stdout, stderr } = await runTool('venv/bin/kubernetes-validate', args);
    const passed = `${stdout}${stderr}`.match(/passed for resource/g)?.length;
    expect({ code, passed }, stdout).toEqual({ code: 0, passed: own.length });
  });

  test('every pod is confined, and needs no file that is written', () => {
    const pods = resources().flatMap(({ kind, spec }) =>
      kind === 'Deployment' || kind === 'Job'
        ? [spec.template.spec]
        : kind === 'CronJob'
          ? [spec.jobTemplate.spec.template.spec]
          : [],
    );
    expect(pods.length).toBeGreaterThanOrEqual(3);
    for (const pod of pods) {
      expect(pod).toMatchObject({
        automountServiceAccountToken: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      });
      for (const { securityContext, resources: bounds } of pod.containers) {
        expect(securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        expect(bounds.limits.memory).toBeDefined();
      }
      const mounted = pod.containers[0].volumeMounts.map(({ name }: { name: string }) => name);
      expect(mounted.toSorted()).toEqual(
        pod.volumes.map(({ name }: { name: string }) => name).toSorted(),
      );
    }
  });

  test('the service takes its variables', () => {
    const given = Object.fromEntries(
      containerOf().env.flatMap(({ name, value }: { name: string; value?: string }) =>
        // A file there is not is a problem, and a variable that is a secret has no value here.
        name.endsWith('_FILE') && /DATABASE|STRIPE|EVENTS/.test(name)
          ? [[name.replace(/_FILE$/, ''), secretOf(name)]]
          : value === undefined
            ? []
            : [[name, value.replace('$(DATABASE_URI)', 'postgres://scrip@db.example.org/scrip')]],
      ),
    );
    const read = readConfig(given);
    expect('problems' in read ? read.problems : []).toEqual([]);
  });

  test('a pod has longer than the replica in it needs to stop', () => {
    const pod = podOf('Deployment');
    const { env, lifecycle } = containerOf();
    const graceMs = env.find(({ name }: { name: string }) => name === 'SHUTDOWN_GRACE_MS').value;
    const needed = lifecycle.preStop.sleep.seconds + Number(graceMs) / 1_000;
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(needed + 10);
  });

  test('jobs run before the replicas, or wait for a database of the release', () => {
    const jobs = resources().filter(({ kind }) => kind === 'Job');
    const weights = jobs.map(({ metadata }) => metadata.annotations?.['helm.sh/hook-weight']);
    const names = jobs.map(({ metadata }) => metadata.name);
    expect(weights).toEqual(set === 'cloudnative-pg' ? [undefined, undefined] : ['0', '1']);
    expect(names.every((name) => name.endsWith('-1'))).toBe(set === 'cloudnative-pg');
  });

  test('an upgrade leaves no job that a rollback to it would run', async () => {
    const jobs = resourcesOf(await render(set, '--is-upgrade')).filter(
      ({ kind }) => kind === 'Job',
    );
    expect(jobs.map(({ metadata }) => metadata.annotations?.['helm.sh/hook'])).toEqual([
      'pre-install,pre-upgrade',
      'pre-install,pre-upgrade',
    ]);
  });

  test.skipIf(set === 'cloudnative-pg')('the policy is one', () => {
    const { data = {} } = theOnly(resources(), 'ConfigMap', '-policy');
    expect(parsePolicyFile('policy.yaml', data['policy.yaml'] ?? '')).not.toHaveProperty('errors');
  });

  test('probes ask the health service, by HTTP where gRPC has TLS', () => {
    const { livenessProbe, readinessProbe } = containerOf();
    expect([livenessProbe, readinessProbe]).toMatchObject(
      set === 'mesh'
        ? [{ grpc: { service: 'liveness' } }, { grpc: { service: 'readiness' } }]
        : [{ httpGet: { path: '/livez' } }, { httpGet: { path: '/readyz' } }],
    );
  });
});

describe.runIf(inject('hasGo'))('the chart', () => {
  test('renders resources of operators as their definitions say', async () => {
    const files: string[] = [];
    for (const [module, paths] of Object.entries(DEFINITIONS)) {
      const { stdout } = await run('go', ['mod', 'download', '-json', module], { cwd: tmpdir() });
      files.push(...paths.map((path) => join(JSON.parse(stdout).Dir, path)));
    }
    const all = resourcesOf(await render('production'));
    const custom = all.filter(({ apiVersion }) => OPERATORS.test(apiVersion));
    expect(custom.map(({ kind }) => kind)).toEqual([
      'Certificate',
      'PrometheusRule',
      'ServiceMonitor',
    ]);
    const input = custom.map((each) => stringify(each)).join('---\n');
    const checked = await runTool('tools', ['resources', ...files], input);
    expect(checked).toEqual({ code: 0, stdout: '', stderr: '' });
    // What it checks with notices a field that there is not.
    const wrong = await runTool('tools', ['resources', ...files], input.replace('dnsNames', 'dns'));
    expect(wrong.stdout).toContain('unknown field spec.dns');
  });

  test.runIf(hasPromtool)('has the rules that promtool accepts', async () => {
    const { spec } = theOnly(resourcesOf(await render('production')), 'PrometheusRule');
    expect(spec.groups.length).toBeGreaterThan(3);
    const folder = await inFolder({ 'rules.yaml': stringify(spec) });
    await run('promtool', ['check', 'rules', join(folder, 'rules.yaml')]);
  });

  test.runIf(hasPromtool)(
    'scales by a rule that says how long each replica has mutations wait',
    async () => {
      const rules = join(import.meta.dirname, '../../deploy/chart/files/autoscaling.yaml');
      const bucket = (pod: string, le: string) =>
        `scrip_lane_wait_seconds_bucket{namespace="billing",pod="${pod}",le="${le}"}`;
      const count = (pod: string) =>
        `scrip_lane_wait_seconds_count{namespace="billing",pod="${pod}"}`;
      const series = (name: string, values: string) => ({ series: name, values });
      const folder = await inFolder({
        'test.yaml': stringify({
          rule_files: [rules],
          tests: [
            {
              interval: '15s',
              input_series: [
                ...['0.1', '0.2', '+Inf'].map((le, index) =>
                  series(bucket('busy', le), index === 0 ? '0x20' : '0+100x20'),
                ),
                series(count('busy'), '0+100x20'),
                ...['0.1', '0.2', '+Inf'].map((le) => series(bucket('idle', le), '7x20')),
                series(count('idle'), '7x20'),
              ],
              promql_expr_test: [
                {
                  expr: 'scrip:lane_wait_seconds:p90',
                  eval_time: '5m',
                  exp_samples: [
                    { labels: labelsOf('busy'), value: 0.19 },
                    { labels: labelsOf('idle'), value: 0 },
                  ],
                },
              ],
            },
          ],
        }),
      });
      await run('promtool', ['test', 'rules', join(folder, 'test.yaml')]);
    },
  );

  test('renders the values of docs/deployment.md, each part of them beside the first', async () => {
    const yaml = codeOf('docs/deployment.md', 'yaml');
    const [first = '', ...parts] = yaml.filter((text) => /^(image|secrets|archive):/.test(text));
    const files = { 'values.yaml': first, ...Object.fromEntries(parts.entries()) };
    const folder = await inFolder(files);
    const args = ['template', 'scrip', 'deploy/chart', '--kube-version', '1.34.0'];
    const values = Object.keys(files).flatMap((name) => ['--values', join(folder, name)]);
    const ran = await runTool('helm', [...args, ...values]);
    expect(ran.code, ran.stderr).toBe(0);
    const names = resourcesOf(ran.stdout).map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(names).toEqual(
      expect.arrayContaining([
        ...['Job scrip-migrate', 'Certificate scrip'],
        ...['Service scrip-webhooks', 'CronJob scrip-archive'],
      ]),
    );
  });

  test('its page names every value', async () => {
    const read = (name: string) =>
      readFile(join(import.meta.dirname, '../../deploy/chart', name), 'utf8');
    const named = [...(await read('README.md')).matchAll(/`(\w+)[\w.]*`/g)].map(([, name]) => name);
    expect(named).toEqual(expect.arrayContaining(Object.keys(parse(await read('values.yaml')))));
  });

  test('gives replicas variables from a Secret', async () => {
    const [deployment] = resourcesOf(await render('production')).filter(
      ({ kind }) => kind === 'Deployment',
    );
    expect(deployment?.spec.template.spec.containers[0].env).toContainEqual({
      name: 'OTEL_EXPORTER_OTLP_HEADERS',
      valueFrom: { secretKeyRef: { name: 'collector', key: 'headers' } },
    });
  });

  test('writes large numbers of a file of values as they are', async () => {
    const values = {
      config: { ANCHOR_INTERVAL_MS: 86_400_000, ACCOUNT_CACHE_MAX: 1_000_000, LANES: '4' },
      connectionAgeMaxMs: 3_600_000,
      migrate: { deadlineSeconds: 1_000_000 },
    };
    const folder = await inFolder({ 'values.yaml': stringify(values) });
    const all = resourcesOf(await render('minimal', '--values', join(folder, 'values.yaml')));
    const { env } = theOnly(all, 'Deployment').spec.template.spec.containers[0];
    for (const [name, value] of [
      ...Object.entries(values.config),
      ['CONNECTION_AGE_MAX_MS', values.connectionAgeMaxMs] as const,
    ])
      expect(env).toContainEqual({ name, value: String(value) });
    expect(theOnly(all, 'Job', '-migrate').spec.activeDeadlineSeconds).toBe(1_000_000);
  });

  test('publishes the plan files that it is given', async () => {
    const all = resourcesOf(await render('production'));
    const { data = {} } = theOnly(all, 'ConfigMap', '-plans-to-publish');
    expect(theOnly(all, 'ConfigMap', '-plans').data).toEqual(data);
    const files = await readPlanFiles(await inFolder(data));
    expect(files).toMatchObject({ plans: [{ planId: 'verts' }] });
  });

  test('gives replicas and jobs the cells, with the URLs of the service or of their owners', async () => {
    const all = resourcesOf(await render('cells'));
    const podsOf = (kind: string) =>
      all.filter((each) => each.kind === kind).map(({ spec }) => spec.template.spec);
    const [replica] = podsOf('Deployment');
    const [verify] = all.filter(({ kind }) => kind === 'CronJob');
    const jobs = [...podsOf('Job'), verify?.spec.jobTemplate.spec.template.spec];
    expect(jobs).toHaveLength(3);
    const keysOf = (pod: typeof replica) => secretsOf(pod).map(({ items: [{ key }] }) => key);
    expect(keysOf(replica)).toEqual(['url', 'service', 'url']);
    for (const pod of jobs) expect(keysOf(pod)).toEqual(['owner-url', 'owner', 'owner-url']);
    for (const pod of [replica, ...jobs]) {
      const [{ env, volumeMounts }] = pod.containers;
      const file = env.find(({ name }: { name: string }) => name === 'CELLS_FILE').value;
      const mounted = (name: string) =>
        volumeMounts.find((mount: { name: string }) => mount.name === name).mountPath;
      expect(file).toBe(`${mounted('cells')}/cells.yaml`);
      const { configMap } = pod.volumes.find(({ name }: { name: string }) => name === 'cells');
      const { data = {} } = theOnly(all, 'ConfigMap', configMap.name);
      const paths = secretsOf(pod).map(({ items: [{ path }] }) => path);
      const folder = await inFolder(
        Object.fromEntries(paths.map((path) => [path, 'postgres://scrip@db.example.org/scrip'])),
      );
      const text = data['cells.yaml']?.replaceAll(mounted('cell-urls'), folder) ?? '';
      expect(parseCellsFile(file, text)).toMatchObject({
        cells: [{ name: 'eu-1' }, { name: 'eu-2' }, { name: 'eu-3', citusSchema: 'eu_3' }],
      });
    }
  });

  test('gives the archive to replicas and the audit, which read it, and to the archiver', async () => {
    const all = resourcesOf(await render('production'));
    const podsOf = (kind: string) =>
      all
        .filter((each) => each.kind === kind)
        .map(({ spec }) => (spec.jobTemplate?.spec ?? spec).template.spec);
    const isArchive = ({ name }: { name: string }) => name === 'archive';
    const mounts = [...podsOf('Deployment'), ...podsOf('CronJob')].map((pod) => {
      const [{ name, env, volumeMounts }] = pod.containers;
      const [folder] = env.filter(({ name }: { name: string }) => name === 'ARCHIVE_DIRECTORY');
      const [{ mountPath, readOnly = false }] = volumeMounts.filter(isArchive);
      expect(mountPath).toBe(folder.value);
      const { persistentVolumeClaim } = pod.volumes.find(isArchive);
      expect(persistentVolumeClaim).toEqual({ claimName: 'scrip-archive' });
      return [name, readOnly];
    });
    expect(mounts).toEqual([
      ['scrip', true],
      ['verify', true],
      ['archive', false],
    ]);
    for (const pod of podsOf('Job')) expect(pod.volumes.filter(isArchive)).toEqual([]);
  });

  test('archives on a schedule what is older than the months that stay', async () => {
    const { spec } = theOnly(resourcesOf(await render('production')), 'CronJob', '-archive');
    expect(spec).toMatchObject({
      ...{ schedule: '23 2 3 * *', timeZone: 'Etc/UTC', concurrencyPolicy: 'Forbid' },
    });
    const [{ args }] = spec.jobTemplate.spec.template.spec.containers;
    expect(args[0]).toBe('dist/cli/main.js');
    expect(problemOf({ words: ['scrip', ...args.slice(1)], isMention: false })).toBe(null);
  });

  test.each<[ValueSet, unknown]>([
    ['production', ['archiver-url']],
    ['cells', ['archiver-url', 'archiver', 'archiver-url']],
    // The owner is a member of the role.
    ['cloudnative-pg', ['ca.crt']],
  ])('the archiver has a login of its own, with the values %s', async (set, keys) => {
    const all = resourcesOf(await render(set, ...ARCHIVING));
    const pod = theOnly(all, 'CronJob', '-archive').spec.jobTemplate.spec.template.spec;
    const [first, ...others] = pod.volumes.filter(
      ({ name }: { name: string }) => !['cells', 'database-ca', 'archive'].includes(name),
    );
    expect(others).toEqual([]);
    const secrets =
      first.projected?.sources.map(({ secret }: { secret: SecretOfCell }) => secret) ??
      ([first.secret] as const);
    expect(secrets.map(({ items: [{ key }] }: SecretOfCell) => key)).toEqual(keys);
  });

  test.each([
    ['without a volume', ['archive.volume=null'], /archive\.volume is required/],
    ['without months that stay', ['archive.keepMonths=null'], /archive\.keepMonths is required/],
    ['with no month that stays', ['archive.keepMonths=0'], /archive\/keepMonths/],
    ['with a part of a month', ['archive.keepMonths=1.5'], /archive\/keepMonths/],
    [
      'to a volume that goes with its pod',
      ['archive.volume.emptyDir.medium=Memory'],
      /archive\.volume must outlive the pods/,
    ],
    [
      'to a volume that is read only',
      ['archive.volume.persistentVolumeClaim.readOnly=true'],
      /archive\.volume must not be readOnly/,
    ],
  ])('refuses to archive %s', async (_, values, message) => {
    const args = values.flatMap((value) => ['--set', value]);
    const { code, stderr } = await template('production', ...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  test('names what Kubernetes takes, whatever the release is named', async () => {
    const name = 'a'.repeat(53);
    const args = ['template', name, 'deploy/chart', '--kube-version', '1.34.0'];
    const values = ['--values', 'deploy/chart/ci/production-values.yaml'];
    const { stdout } = await runTool('helm', [...args, ...values]);
    const names = resourcesOf(stdout).flatMap(({ kind, metadata }) =>
      kind === 'CronJob' ? [metadata.name.length] : [],
    );
    expect(names).toEqual([51, 52]);
  });

  test('starts replicas again when the cells change', async () => {
    const checksum = async (...args: readonly string[]) => {
      const { spec } = theOnly(resourcesOf(await render('cells', ...args)), 'Deployment');
      return spec.template.metadata.annotations['checksum/cells'];
    };
    const before = await checksum();
    expect(before).toMatch(/^[0-9a-f]{64}$/);
    expect(await checksum('--set', 'replicas=5')).toBe(before);
    expect(await checksum('--set', 'cells[1].schema=ledger')).not.toBe(before);
  });

  test.each([
    ['a database of another value', ['--set', 'database.secret.name=x'], /cells exclude database/],
    ['a name that CELLS_FILE refuses', ['--set', 'cells[0].name=Eu'], /cells\/0\/name/],
    ['a Citus cell without a schema', ['--set', 'cells[0].citus=true'], /cells\/0.*schema/s],
    ['a schema of PostgreSQL', ['--set', 'cells[0].schema=pg_catalog'], /cells\/0\/schema/],
  ])('refuses cells with %s', async (_, args, message) => {
    const { code, stderr } = await template('cells', ...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  test.each([
    ['an image', ['--set', 'image.repository='], /image\/repository/],
    ['a policy', ['--set', 'policy.content=null'], /policy\.content or policy\.existingConfigMap/],
    ['a database', ['--set', 'database.secret.name='], /database\.secret\.name is required/],
    ['a certificate', ['--set', 'transport.secret='], /transport\.secret is required/],
    ['an issuer', ['--set', 'transport.certManager.enabled=true'], /issuer\/name/],
    ['known values', ['--set', 'replica=3'], /additional properties 'replica' not allowed/],
    ['variables that it does not set itself', ['--set', 'config.CELLS_FILE=x'], /'CELLS_FILE'/],
    [
      'no secret among the variables',
      ['--set', 'config.STRIPE_SECRET_KEY=x'],
      /'STRIPE_SECRET_KEY'/,
    ],
  ])('asks for %s', async (_, args, message) => {
    const { code, stderr } = await template('minimal', ...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });
});

const ARCHIVING = [
  ...['schedule=0 0 1 * *', 'keepMonths=1'],
  'volume.persistentVolumeClaim.claimName=scrip-archive',
].flatMap((value) => ['--set', `archive.${value}`]);

type SecretOfCell = { readonly items: readonly [{ readonly key: string; readonly path: string }] };

/** The secrets with the URLs of the cells, in a pod. */
// biome-ignore lint/suspicious/noExplicitAny: schemas check what it is.
const secretsOf = (pod: any): readonly SecretOfCell[] =>
  pod.volumes
    .find(({ name }: { name: string }) => name === 'cell-urls')
    .projected.sources.map(({ secret }: { secret: SecretOfCell }) => secret);

const labelsOf = (pod: string): string =>
  `scrip:lane_wait_seconds:p90{namespace="billing", pod="${pod}"}`;

const secretOf = (name: string): string =>
  name.startsWith('DATABASE') ? 'postgres://scrip@db.example.org/scrip' : `whsec_${'a'.repeat(32)}`;
