/** Summarises a CPU profile: self time by part of the program, and by function. */
import { readFile } from 'node:fs/promises';

type Profile = {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
};

/** Parts of the program by file; the first match counts. */
const PARTS: readonly (readonly [part: string, file: RegExp])[] = [
  ['grpc-js', /@grpc\/grpc-js/],
  ['http2, sockets, streams', /^node:(internal\/http2|net|internal\/stream|events|http2|stream)/],
  ['protobuf codec', /(src|dist)\/gen\/|@bufbuild\/protobuf/],
  ['rules and pricing', /(src|dist)\/(ledger|pricing)\//],
  ['lanes and account cache', /(src|dist)\/(lanes|account-cache)\//],
  ['rpc', /(src|dist)\/rpc\//],
  ['rows and parameters', /(src|dist)\/(store|canonical)/],
  ['PostgreSQL access', /(src|dist)\/pg\//],
  ['pg driver', /node_modules\/pg/],
  ['MikroORM and kysely', /@mikro-orm|kysely/],
  ['OpenTelemetry', /@opentelemetry/],
  ['node', /^node:/],
];
const TOP = 20;

export async function summary(file: string): Promise<string> {
  const profile: Profile = JSON.parse(await readFile(file, 'utf8'));
  const selfOf = selfTimes(profile);
  const parts = new Map<string, number>();
  const functions = new Map<string, number>();
  let busy = 0;
  for (const { id, callFrame } of profile.nodes) {
    const self = selfOf.get(id) ?? 0;
    const { functionName, url, lineNumber } = callFrame;
    if (functionName === '(idle)' || functionName === '(root)') continue;
    busy += self;
    add(parts, partOf(functionName, url), self);
    add(functions, `${functionName || '(anonymous)'} ${placeOf(url)}:${lineNumber + 1}`, self);
  }
  const line = ([name, self]: readonly [string, number]) =>
    `${((self / busy) * 100).toFixed(1).padStart(8)}%  ${name}`;
  return [...sorted(parts).map(line), '', ...sorted(functions).slice(0, TOP).map(line)].join('\n');
}

/**
 * Microseconds by node. A sample counts for at most twice the median interval: a longer one means
 * that the process waited for a core.
 */
function selfTimes({ samples, timeDeltas }: Profile): Map<number, number> {
  const usual = [...timeDeltas].sort((a, b) => a - b)[timeDeltas.length >> 1] ?? 0;
  const selfOf = new Map<number, number>();
  samples.forEach((id, index) => {
    const self = Math.min(timeDeltas[index] ?? 0, 2 * usual);
    selfOf.set(id, (selfOf.get(id) ?? 0) + self);
  });
  return selfOf;
}

function partOf(functionName: string, url: string): string {
  if (functionName === '(garbage collector)') return 'garbage collection';
  const known = PARTS.find(([, file]) => file.test(url));
  return known?.[0] ?? (url === '' ? 'built-in and native' : url);
}

const placeOf = (url: string): string =>
  url.replace(/^.*\/node_modules\//, '').replace(/^file:\/\/.*?\/(src|dist|test)\//, '$1/');

const add = (to: Map<string, number>, key: string, value: number) =>
  to.set(key, (to.get(key) ?? 0) + value);

const sorted = (of: ReadonlyMap<string, number>) => [...of].sort((a, b) => b[1] - a[1]);
