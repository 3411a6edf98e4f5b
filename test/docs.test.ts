/** The tables of docs/ agree with the code. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { environment, readConfig } from '../src/config.ts';
import { ErrorReason } from '../src/gen/billing/v1/error_reason.ts';
import { statusCodeOf } from '../src/rpc/call/status.ts';
import { SECRETS } from '../src/secret-files.ts';
import { LANGUAGES, type Language } from './clients/languages.ts';
import { snippetsOf } from './clients/page.ts';
import { faults } from './faults/faults/index.ts';
import { documentedErrors } from './rpc/error-contract.ts';

const root = new URL('..', import.meta.url).pathname;

/** The cells of every row of a page's tables, without their headings. */
function rowsOf(page: string): readonly (readonly string[])[] {
  const lines = readFileSync(`${root}docs/${page}`, 'utf8').split('\n');
  const rows = lines.filter((line, index) => line.startsWith('|') && !isHeading(lines, index));
  return rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const isHeading = (lines: readonly string[], index: number): boolean =>
  [lines[index], lines[index + 1]].some((line) => line?.startsWith('| ---'));

const codeSpan = (cell: string | undefined): string => /^`(.*)`$/.exec(cell ?? '')?.[1] ?? '';

describe('docs/configuration.md', () => {
  const rows = rowsOf('configuration.md');

  test('lists every variable once', () => {
    const names = rows.map(([name]) => codeSpan(name));
    expect(names.toSorted()).toEqual(Object.keys(environment.shape).toSorted());
  });

  test.each(rows)('%s has the default %s', (name, value) => {
    const read = readConfig({});
    if ('problems' in read) throw new Error(read.problems.join());
    const config: Readonly<Record<string, unknown>> = read.config;
    const actual = String(config[codeSpan(name)] ?? '');
    expect(codeSpan(value)).toBe(actual.startsWith(root) ? relative(root, actual) : actual);
  });
});

describe('GUARANTEES.md', () => {
  const page = readFileSync(`${root}GUARANTEES.md`, 'utf8');

  test('names tests that exist', () => {
    const paths = [...page.matchAll(/\btest\/[\w./-]+/g)].map(([path]) => path);
    expect(paths.length).toBeGreaterThan(0);
    expect(paths.filter((path) => !existsSync(`${root}${path}`))).toEqual([]);
  });

  test('names every fault of `npm run faults`', () => {
    const named = [...page.matchAll(/--only ([\w,-]+)/g)].flatMap(([, names]) => names?.split(','));
    expect([...new Set(named)].toSorted()).toEqual(faults.map(({ name }) => name).toSorted());
  });
});

describe('SECURITY.md', () => {
  const page = readFileSync(`${root}SECURITY.md`, 'utf8');
  const [, threats = ''] = /## Threats\n([\s\S]*?)\n## /.exec(page) ?? [];
  const rows = [...threats.matchAll(/^\| (?!threat|---)([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)];

  test('names a test that exists for every threat', () => {
    expect(rows.length).toBeGreaterThan(20);
    expect(rows.length).toBe((threats.match(/^\|/gm) ?? []).length - 2);
    for (const [, threat, , tests = ''] of rows) {
      const paths = [...tests.matchAll(/`(test\/[\w./-]+\.test\.ts)`/g)].map(([, path]) => path);
      expect(paths, threat).not.toEqual([]);
      expect(paths.join(', '), threat).toBe(tests.replaceAll('`', '').trim());
      for (const path of paths) expect(existsSync(`${root}${path}`), path).toBe(true);
    }
  });

  test('says how to rotate every secret', () => {
    const [, rotation = ''] = /## Rotation\n([\s\S]*?)\n## /.exec(page) ?? [];
    for (const name of SECRETS) expect(rotation).toContain(name);
  });
});

describe('docs/errors.md', () => {
  const rows = rowsOf('errors.md');

  test('lists every reason once', () => {
    const reasons = Object.keys(ErrorReason).filter((name) => name !== 'UNSPECIFIED');
    expect(rows.map(([, reason]) => codeSpan(reason)).toSorted()).toEqual(reasons.toSorted());
  });

  test.each(documentedErrors())(
    '$reason has its code and metadata',
    ({ reason, codes, metadata }) => {
      const [listed, , , keys] = rows.find((row) => codeSpan(row[1]) === reason) ?? [];
      expect(listed?.split(', ')).toEqual(codes.map((code) => status[code]));
      expect(codes).toContain(statusCodeOf(reason as Parameters<typeof statusCodeOf>[0]));
      expect(keys?.split(', ').map(codeSpan)).toEqual(expect.arrayContaining([...metadata]));
    },
  );
});

describe('docs/clients', () => {
  /** Lines without their indentation, which a page leaves out. */
  const linesOf = (text: string): string => text.trim().replace(/^[ \t]+/gm, '');

  /** The sources of an example, without what a build has made. */
  const sourcesOf = ({ id, extension }: Language): readonly string[] =>
    globSync(`examples/${id}/**/*.${extension}`, {
      cwd: root,
      exclude: ['**/{.venv,gen,target,dist,node_modules}'],
    })
      .map((file) => readFileSync(`${root}${file}`, 'utf8'))
      .map(linesOf);

  // `test:package` compiles the code of TypeScript's.
  const generated = LANGUAGES.filter(({ id }) => id !== 'typescript');

  test.each(generated)('the code of the page of $name is in its example', (language) => {
    const sources = sourcesOf(language);
    const snippets = snippetsOf(`${language.id}.md`, language.id).map(linesOf);
    expect(snippets.length).toBeGreaterThan(0);
    const unknown = snippets.filter((snippet) => !sources.some((file) => file.includes(snippet)));
    expect(unknown).toEqual([]);
  });

  test('the service configs of the examples are one', () => {
    const configs = generated.flatMap((language) =>
      sourcesOf(language).flatMap((file) => {
        const [config] = /\{\s*"loadBalancingConfig"[\s\S]*?\}\s*\}(?=[`"\n])/.exec(file) ?? [];
        return config === undefined ? [] : [JSON.parse(config) as unknown];
      }),
    );
    expect(configs).toHaveLength(generated.length);
    for (const config of configs) expect(config).toEqual(configs[0]);
  });

  test.each(LANGUAGES)('the example in $name reads the variables of the commands', (language) => {
    const commands = readFileSync(`${root}src/client-environment.ts`, 'utf8');
    const named = new Set(commands.match(/SCRIP_\w+_FILE/g));
    expect(named.size).toBe(4);
    const sources = [...sourcesOf(language), readFileSync(`${root}examples/README.md`, 'utf8')];
    for (const name of named)
      expect(sources.filter((file) => file.includes(name)).length, name).toBeGreaterThanOrEqual(2);
  });
});
