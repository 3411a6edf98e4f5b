/**
 * The part of YAML a plan file may use: mappings, lists, text, whole numbers, true, false and null.
 * What makes a reader guess what a file says is an error: two values for one key, aliases and
 * merges, tags, directives, several documents, numbers that are not decimal.
 */
import { type Document, isAlias, isScalar, LineCounter, parseDocument, visit } from 'yaml';

/** Where YAML itself is at fault, as line and column, and why. */
export type YamlError = { readonly path: string; readonly reason: string };

/** `content` is undefined where the text is so broken that nothing more can be said of it. */
export type YamlReading = { readonly content: unknown; readonly errors: readonly YamlError[] };

/** YAML errors told of one file: after the first few, the rest mostly follow from them. */
const ERRORS = 20;

export function parseYaml(yamlText: string): YamlReading {
  const lines = new LineCounter();
  try {
    const document = parseDocument(yamlText, {
      intAsBigInt: true,
      stringKeys: true,
      prettyErrors: false,
      lineCounter: lines,
    });
    const errors = document.errors.slice(0, ERRORS).map(({ code, message, pos }) => ({
      path: lineOf(lines, pos[0]),
      reason: code === 'DUPLICATE_KEY' ? 'duplicate key' : `is no YAML: ${message}`,
    }));
    const broken = document.errors.some(({ code }) => code !== 'DUPLICATE_KEY');
    if (broken) return { content: undefined, errors };
    const { oddities, aliased } = odditiesOf(document, lines);
    const content: unknown = aliased ? undefined : document.toJS();
    return { content, errors: [...errors, ...oddities] };
  } catch {
    // The reader throws for one thing: nesting deeper than its stack.
    const reason = 'is no YAML that can be read: nested too deeply';
    return { content: undefined, errors: [{ path: '(whole file)', reason }] };
  }
}

function odditiesOf(
  document: Document,
  lines: LineCounter,
): { readonly oddities: readonly YamlError[]; readonly aliased: boolean } {
  const oddities: YamlError[] = [];
  let aliased = false;
  if (document.directives?.yaml.explicit === true) {
    oddities.push({
      path: 'line 1',
      reason: 'begins with a directive, which no plan file may use',
    });
  }
  visit(document, {
    Node: (_key, node) => {
      const tell = (reason: string) =>
        oddities.push({ path: lineOf(lines, node.range?.[0] ?? 0), reason });
      aliased ||= isAlias(node);
      if (isAlias(node)) tell('uses an alias; write the value out');
      else if (node.anchor !== undefined) tell('sets an anchor, which no plan file may use');
      if (node.tag !== undefined) tell(`uses the tag ${node.tag}, which no plan file may use`);
      if (isScalar(node) && (node.format === 'HEX' || node.format === 'OCT')) {
        tell('is a number that is not written in decimal');
      }
    },
    Pair: (_key, { key }) => {
      // A schema that copies keys into objects must never meet this one, so it is told here.
      if (!isScalar(key) || key.value !== '__proto__') return;
      oddities.push({ path: lineOf(lines, key.range?.[0] ?? 0), reason: 'unknown key' });
    },
  });
  return { oddities, aliased };
}

function lineOf(lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `line ${line}, column ${col}`;
}
