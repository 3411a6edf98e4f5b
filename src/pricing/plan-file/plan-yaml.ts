/**
 * The subset of YAML that a plan file or a policy may use: mappings, lists, text, whole numbers, true,
 * false and null. Everything that makes a file hard to read is an error: duplicate keys, aliases and merges, tags,
 * directives, several documents, numbers that are not decimal.
 */
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
} from 'yaml';
import type { Path } from './validation-error.ts';

/** An error of the YAML itself. `path` is its line and column. */
export type YamlError = { readonly path: string; readonly reason: string };

export type ParsedYaml = {
  /** Undefined if the text cannot be parsed. */
  readonly content: unknown;
  readonly errors: readonly YamlError[];
  /** The line of a path in the content; of a path that is missing, the line of what should hold it. */
  readonly findLine: (path: Path) => number;
};

/** Most syntax errors reported of one file. Later ones mostly follow from the first. */
const ERRORS_MAX = 20;

export function parseYaml(yamlText: string): ParsedYaml {
  const lines = new LineCounter();
  try {
    const document = parseDocument(yamlText, {
      intAsBigInt: true,
      stringKeys: true,
      prettyErrors: false,
      lineCounter: lines,
    });
    const errors = document.errors.slice(0, ERRORS_MAX).map(({ code, message, pos }) => ({
      path: lineOf(lines, pos[0]),
      reason: code === 'DUPLICATE_KEY' ? 'duplicate key' : `is not YAML: ${message}`,
    }));
    const broken = document.errors.some(({ code }) => code !== 'DUPLICATE_KEY');
    const findLine = (path: Path) => findLineOfPath(document, lines, path);
    if (broken) return { content: undefined, errors, findLine };
    const { errors: forbidden, aliased } = findForbidden(document, lines);
    const content: unknown = aliased ? undefined : document.toJS();
    return { content, errors: [...errors, ...forbidden], findLine };
  } catch {
    // The parser throws only if the nesting exceeds its stack.
    const reason = 'cannot be parsed: nested too deeply';
    const errors = [{ path: '(whole file)', reason }];
    return { content: undefined, errors, findLine: () => 1 };
  }
}

/** Finds YAML that is valid and that files must not use. */
function findForbidden(
  document: Document,
  lines: LineCounter,
): { readonly errors: readonly YamlError[]; readonly aliased: boolean } {
  const errors: YamlError[] = [];
  let aliased = false;
  if (document.directives?.yaml.explicit === true) {
    errors.push({
      path: 'line 1',
      reason: 'begins with a directive, which is not allowed',
    });
  }
  visit(document, {
    Node: (_key, node) => {
      const addError = (reason: string) =>
        errors.push({ path: lineOf(lines, node.range?.[0] ?? 0), reason });
      aliased ||= isAlias(node);
      if (isAlias(node)) addError('uses an alias; write the value out');
      else if (node.anchor !== undefined) addError('sets an anchor, which is not allowed');
      if (node.tag !== undefined) addError(`uses the tag ${node.tag}, which is not allowed`);
      if (isScalar(node) && (node.format === 'HEX' || node.format === 'OCT')) {
        addError('is a number that is not written in decimal');
      }
    },
    Pair: (_key, { key }) => {
      // Schemas copy keys into objects, and must never see this key.
      if (!isScalar(key) || key.value !== '__proto__') return;
      errors.push({ path: lineOf(lines, key.range?.[0] ?? 0), reason: 'unknown key' });
    },
  });
  return { errors, aliased };
}

function findLineOfPath({ contents }: Document, lines: LineCounter, path: Path): number {
  let at = 0;
  let node: unknown = contents;
  for (const key of path) {
    const child = childOf(node, key);
    if (!child || !isNode(child.named)) break;
    at = child.named.range?.[0] ?? at;
    node = child.value;
  }
  return lines.linePos(at).line;
}

/** What a key or index names in a node; `named` is where it begins. */
function childOf(node: unknown, key: PropertyKey): { named: unknown; value: unknown } | undefined {
  if (isSeq(node)) {
    const item = node.items[Number(key)];
    return { named: item, value: item };
  }
  if (!isMap(node)) return undefined;
  const pair = node.items.find((each) => isScalar(each.key) && each.key.value === String(key));
  return pair && { named: pair.key, value: pair.value };
}

function lineOf(lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `line ${line}, column ${col}`;
}
