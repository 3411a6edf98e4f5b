/**
 * Prices computed by a CEL expression. A price may use a small part of CEL: whole numbers, text, true and
 * false, the operation's quantities (int) and attributes (string), arithmetic, comparison, logic, `? :`
 * and `in` with a list. Decimals, functions and macros are refused, so no float is involved and every
 * evaluation ends quickly.
 */
import { celEnv, isCelError, parse, plan } from '@bufbuild/cel';
import { type CelComponent, MAX_CREDITS } from './plan.ts';

/** Values of an expression's variables. */
export type CelInputs = Readonly<Record<string, bigint | string>>;

/** A parsed expression, which is evaluated often. */
export type CelPrice = {
  /** The names of the variables it reads. */
  readonly variables: ReadonlySet<string>;
  /** The whole numbers and texts in it: values at which the price may change. */
  readonly constants: ReadonlySet<bigint | string>;
  /** What it uses that a price must not. An expression with errors is never evaluated. */
  readonly errors: readonly string[];
  /** The credits for these inputs, 0 to `MAX_CREDITS`, or a text that says why there are none. */
  readonly evaluate: (inputs: CelInputs) => bigint | string;
};

const environment = celEnv();
const compiledPrices = new WeakMap<CelComponent, CelPrice>();

/** The compiled price of a component. It is compiled once and cached as long as the component lives. */
export function getCelPrice(component: CelComponent): CelPrice {
  const cached = compiledPrices.get(component);
  if (cached !== undefined) return cached;
  const price = compile(component.expression);
  compiledPrices.set(component, price);
  return price;
}

type Expression = ReturnType<typeof parse>['expr'];

type Parts = {
  readonly variables: Set<string>;
  readonly constants: Set<bigint | string>;
  readonly errors: string[];
};

function compile(source: string): CelPrice {
  const parts: Parts = { variables: new Set(), constants: new Set(), errors: [] };
  try {
    const { expr } = parse(source);
    collectParts(expr, parts);
    if (parts.errors.length > 0) return { ...parts, evaluate: () => 'not evaluated' };
    const run = plan(environment, expr);
    return { ...parts, evaluate: (inputs) => toCredits(run(inputs)) };
  } catch (error) {
    // The message says where the parser stopped. An expression that is nested too deeply ends here, too.
    const reason = `is not a CEL expression: ${error instanceof Error ? error.message : 'unreadable'}`;
    return { ...parts, errors: [reason], evaluate: () => reason };
  }
}

function toCredits(result: unknown): bigint | string {
  if (isCelError(result)) return result.message;
  if (typeof result !== 'bigint') return 'the result is not a whole number';
  if (result < 0n) return `the result is ${result}`;
  return result <= MAX_CREDITS ? result : 'the result is too large';
}

const OPERATORS: ReadonlySet<string> = new Set([
  ...['_+_', '_-_', '_*_', '_/_', '_%_', '-_'],
  ...['_==_', '_!=_', '_<_', '_<=_', '_>_', '_>=_', '@in'],
  ...['_&&_', '_||_', '!_', '_?_:_'],
]);

function collectParts(expression: Expression, parts: Parts): void {
  const { exprKind } = expression;
  switch (exprKind.case) {
    case 'identExpr':
      parts.variables.add(exprKind.value.name);
      return;
    case 'constExpr':
      collectConstant(exprKind.value.constantKind, parts);
      return;
    case 'listExpr':
      for (const element of exprKind.value.elements) collectParts(element, parts);
      return;
    case 'callExpr': {
      const { function: called, target, args } = exprKind.value;
      if (target !== undefined || !OPERATORS.has(called)) {
        parts.errors.push(`uses ${called}(), and a price may use operators only`);
      }
      for (const argument of args) collectParts(argument, parts);
      return;
    }
    default:
      parts.errors.push('uses a field, map or message, and a price may use numbers and text only');
  }
}

type Constant = Extract<Expression['exprKind'], { case: 'constExpr' }>['value']['constantKind'];

function collectConstant(constant: Constant, parts: Parts): void {
  switch (constant.case) {
    case 'int64Value':
    case 'stringValue':
      parts.constants.add(constant.value);
      return;
    case 'boolValue':
      return;
    case 'doubleValue':
      parts.errors.push('uses a decimal, and a price may use whole numbers only');
      return;
    default:
      parts.errors.push('uses a constant that is not a whole number, text, true or false');
  }
}
