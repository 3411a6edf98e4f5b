/**
 * The subset of YAML that a plan file may use: mappings, lists, text, whole numbers, true, false and null.
 * Everything that makes a file hard to read is an error: duplicate keys, aliases and merges, tags,
 * directives, several documents, numbers that are not decimal.
 */
import { type Document, isAlias, isScalar, LineCounter, parseDocument, visit } from 'yaml';

/** An error of the YAML itself. `path` is its line and column. */
export type YamlError = { readonly path: string; readonly reason: string };

/** `content` is undefined if the text cannot be parsed. */
export type ParsedYaml = { readonly content: unknown; readonly errors: readonly YamlError[] };

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
    if (broken) return { content: undefined, errors };
    const { errors: forbidden, aliased } = findForbidden(document, lines);
    const content: unknown = aliased ? undefined : document.toJS();
    return { content, errors: [...errors, ...forbidden] };
  } catch {
    // The parser throws only if the nesting exceeds its stack.
    const reason = 'cannot be parsed: nested too deeply';
    return { content: undefined, errors: [{ path: '(whole file)', reason }] };
  }
}

/** Finds YAML that is valid and that plan files must not use. */
function findForbidden(
  document: Document,
  lines: LineCounter,
): { readonly errors: readonly YamlError[]; readonly aliased: boolean } {
  const errors: YamlError[] = [];
  let aliased = false;
  if (document.directives?.yaml.explicit === true) {
    errors.push({
      path: 'line 1',
      reason: 'begins with a directive, which no plan file may use',
    });
  }
  visit(document, {
    Node: (_key, node) => {
      const addError = (reason: string) =>
        errors.push({ path: lineOf(lines, node.range?.[0] ?? 0), reason });
      aliased ||= isAlias(node);
      if (isAlias(node)) addError('uses an alias; write the value out');
      else if (node.anchor !== undefined) addError('sets an anchor, which no plan file may use');
      if (node.tag !== undefined) addError(`uses the tag ${node.tag}, which no plan file may use`);
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

function lineOf(lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `line ${line}, column ${col}`;
}
