/**
 * Prices that only an expression can say. A price may use a small part of CEL: whole numbers, text,
 * true and false, the operation's own quantities (int) and attributes (string), arithmetic,
 * comparison, logic, `? :` and `in` with a list. Decimals, functions and macros are refused, so
 * that no float comes near a credit and every evaluation ends, and soon.
 */
import { celEnv, isCelError, parse, plan } from '@bufbuild/cel';
import { type CelComponent, MAX_CREDITS } from './plan.ts';

/** Values of an expression's variables. */
export type CelInputs = Readonly<Record<string, bigint | string>>;

/** An expression taken apart once, to be evaluated often. */
export type CelPrice = {
  /** The variables it reads. */
  readonly variables: ReadonlySet<string>;
  /** The whole numbers and texts written in it: where its price is likely to change. */
  readonly constants: ReadonlySet<bigint | string>;
  /** What in it a price may not use. A price with errors is never evaluated. */
  readonly errors: readonly string[];
  /** Credits for these inputs, from 0 to `MAX_CREDITS`; as text why there is no such number. */
  readonly evaluate: (inputs: CelInputs) => bigint | string;
};

const environment = celEnv();
const compiled = new WeakMap<CelComponent, CelPrice>();

/** The compiled price of a component: compiled when first asked, then kept as long as it lives. */
export function getCelPrice(component: CelComponent): CelPrice {
  const known = compiled.get(component);
  if (known !== undefined) return known;
  const price = compile(component.expression);
  compiled.set(component, price);
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
    takeApart(expr, parts);
    if (parts.errors.length > 0) return { ...parts, evaluate: () => 'not evaluated' };
    const run = plan(environment, expr);
    return { ...parts, evaluate: (inputs) => asCredits(run(inputs)) };
  } catch (error) {
    // Nothing but the parser's word for where it stopped; deep nesting ends here too.
    const reason = `is no CEL expression: ${error instanceof Error ? error.message : 'unreadable'}`;
    return { ...parts, errors: [reason], evaluate: () => reason };
  }
}

function asCredits(result: unknown): bigint | string {
  if (isCelError(result)) return result.message;
  if (typeof result !== 'bigint') return 'the result is no whole number';
  if (result < 0n) return `the result is ${result}`;
  return result <= MAX_CREDITS ? result : 'the result is too large';
}

const OPERATORS: ReadonlySet<string> = new Set([
  ...['_+_', '_-_', '_*_', '_/_', '_%_', '-_'],
  ...['_==_', '_!=_', '_<_', '_<=_', '_>_', '_>=_', '@in'],
  ...['_&&_', '_||_', '!_', '_?_:_'],
]);

function takeApart(expression: Expression, parts: Parts): void {
  const { exprKind } = expression;
  switch (exprKind.case) {
    case 'identExpr':
      parts.variables.add(exprKind.value.name);
      return;
    case 'constExpr':
      takeConstant(exprKind.value.constantKind, parts);
      return;
    case 'listExpr':
      for (const element of exprKind.value.elements) takeApart(element, parts);
      return;
    case 'callExpr': {
      const { function: called, target, args } = exprKind.value;
      if (target !== undefined || !OPERATORS.has(called)) {
        parts.errors.push(`uses ${called}(), and a price may use operators only`);
      }
      for (const argument of args) takeApart(argument, parts);
      return;
    }
    default:
      parts.errors.push('uses a field, map or message, and a price may use numbers and text only');
  }
}

type Constant = Extract<Expression['exprKind'], { case: 'constExpr' }>['value']['constantKind'];

function takeConstant(constant: Constant, parts: Parts): void {
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
      parts.errors.push('uses a constant that is no whole number, text, true or false');
  }
}
