/**
 * Finishes what ts-proto generates for the client package:
 * - every message that is decoded or made has a `toJSON`, so that `JSON.stringify` works with bigint, enums
 *   and instants, also of nested messages. It is in the prototype: it does not show in keys, spreads or
 *   comparisons;
 * - an empty list is in the JSON;
 * - a key of a map may be `__proto__`;
 * - a request may have readonly lists;
 * - the JSON of a Duration is that of proto3, such as "90s".
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export function finishClientMessages(folder: string) {
  for (const name of globSync('**/*.ts', { cwd: folder })) {
    const file = join(folder, name);
    const text = withEmptyLists(
      withReadonlyLists(withExactMaps(withPrototypes(readFileSync(file, 'utf8')))),
    );
    writeFileSync(file, name.endsWith('protobuf/duration.ts') ? withDurationJson(text) : text);
  }
}

const CREATE = /function createBase(\w+)\(\): \w+ \{\n {2}return \{([^}]*(?:\{\}[^}]*)*)\};\n\}/g;

function withPrototypes(text: string): string {
  const names: string[] = [];
  const created = text.replace(CREATE, (_, name: string, fields: string) => {
    names.push(name);
    return `const ${name}Prototype = /* @__PURE__ */ messagePrototype((message) => ${name}.toJSON(message));

function createBase${name}(): ${name} {
  return { __proto__: ${name}Prototype,${fields}} as ${name};
}`;
  });
  const messages = text.match(/function createBase\w+\(/g)?.length ?? 0;
  if (names.length !== messages)
    throw new Error(`${messages} messages, and ${names.length} of them were understood`);
  return names.length === 0 ? created : `${created}${MESSAGE_PROTOTYPE}`;
}

const MESSAGE_PROTOTYPE = `
function messagePrototype(toJSON: (message: any) => unknown): object {
  return globalThis.Object.create(globalThis.Object.prototype, {
    toJSON: {
      value(this: unknown) {
        return toJSON(this);
      },
    },
  });
}
`;

function withExactMaps(text: string): string {
  const exact = text.replace(
    /(\bmessage\.\w+|\bobj\.\w+|\bacc)\[(entry\d+\.key|k|key)\] = ([^;]+);/g,
    'setEntry($1, $2, $3);',
  );
  return exact === text ? text : `${exact}${SET_ENTRY}`;
}

const SET_ENTRY = `
function setEntry<V>(map: { [key: string]: V }, key: string, value: V): void {
  if (key !== "__proto__") map[key] = value;
  else globalThis.Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
}
`;

const withReadonlyLists = (text: string): string =>
  text.replace('? globalThis.Array<DeepPartial<U>>', '? ReadonlyArray<DeepPartial<U>>');

/** In JSON, as numbers that are 0 are. */
const withEmptyLists = (text: string): string =>
  text.replace(/if \((message\.\w+)\?\.length\) \{/g, 'if ($1) {');

function withDurationJson(text: string): string {
  const start = text.indexOf('  toJSON(message: Duration)');
  const end = text.indexOf('\n  },\n', start);
  if (start < 0 || end < 0) throw new Error('the message Duration was not understood');
  return `${text.slice(0, start)}${DURATION_JSON}${text.slice(end)}`;
}

const DURATION_JSON = `  toJSON(message: Duration): unknown {
    const nanos = message.seconds * 1_000_000_000n + globalThis.BigInt(message.nanos);
    const size = nanos < 0n ? -nanos : nanos;
    const fraction = (size % 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "");
    const sign = nanos < 0n ? "-" : "";
    return \`\${sign}\${size / 1_000_000_000n}\${fraction && \`.\${fraction}\`}s\`;`;
