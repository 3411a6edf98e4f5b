import { describe, expect, test } from 'vitest';
import { containing, errorsIn, type InvalidPlanRow, withReplaced } from './fixtures.ts';

const op = (name: string) => `operations["job.${name}"]`;
const cel = (expression: string) =>
  ['(pages + 9) / 10 * (mode == "deep" ? 3 : 1)', expression] as const;

describe('a contradictory range or choice is an error', () => {
  test.each<InvalidPlanRow>([
    [
      'a max below the min',
      'min: 1, max: 500 }',
      'min: 501, max: 500 }',
      `${op('pages')}.quantities.pages.max: is less than min`,
    ],
    [
      'a default out of range',
      'default: 10 }',
      'default: 301 }',
      `${op('tier')}.quantities.size.default: is not between min and max`,
    ],
    [
      'a default that is not one of the values',
      'default: fast',
      'default: slow',
      `${op('cel')}.attributes.mode.default: is not one of values`,
    ],
    [
      'a value declared twice',
      '[fast, deep]',
      '[fast, deep, fast]',
      `${op('cel')}.attributes.mode.values: names a value twice`,
    ],
  ])('%s', (_name, from, to, error) => {
    expect(errorsIn(withReplaced(from, to))).toEqual(containing(error));
  });
});

describe('a tier that overlaps, cannot be reached or leaves a quantity unpriced is an error', () => {
  test.each<InvalidPlanRow>([
    [
      'steps that overlap',
      'up_to: 100,',
      'up_to: 10,',
      `${op('tier')}.components[0].steps[1].up_to: overlaps the step before, which ends at 10: steps must ascend`,
    ],
    [
      'steps that descend',
      'up_to: 100,',
      'up_to: 9,',
      `${op('tier')}.components[0].steps[1].up_to: overlaps the step before, which ends at 10: steps must ascend`,
    ],
    [
      'steps that end below the max',
      'up_to: 300,',
      'up_to: 299,',
      `${op('tier')}.components[0].steps[2].up_to: leaves size above 299 without a price: its max is 300`,
    ],
    [
      'a step beyond the max',
      'up_to: 100,',
      'up_to: 300,',
      `${op('tier')}.components[0].steps[2].up_to: overlaps the step before, which ends at 300: steps must ascend`,
    ],
    [
      'a step above the quantity’s max',
      'max: 300,',
      'max: 100,',
      `${op('tier')}.components[0].steps[2].up_to: is never reached: the step before ends at the max, 100`,
    ],
    [
      'a step below the quantity’s min',
      'up_to: 10,',
      'up_to: 0,',
      `${op('tier')}.components[0].steps[0].up_to: is never reached: size is at least 1`,
    ],
  ])('%s', (_name, from, to, error) => {
    expect(errorsIn(withReplaced(from, to))).toEqual(containing(error));
  });
});

describe('a price that reads undeclared inputs, or leaves values without a price, is an error', () => {
  test.each<InvalidPlanRow>([
    [
      'an undeclared quantity in a per_unit component',
      'quantity: pages,',
      'quantity: sheets,',
      `${op('pages')}.components[1].quantity: names sheets, which is not a quantity of this operation`,
    ],
    [
      'an undeclared quantity in a tier component',
      'quantity: size',
      'quantity: bytes',
      `${op('tier')}.components[0].quantity: names bytes, which is not a quantity of this operation`,
    ],
    [
      'an undeclared attribute',
      'attribute: quality',
      'attribute: dpi',
      `${op('format')}.components[1].attribute: names dpi, which is not an attribute of this operation`,
    ],
    [
      'a price for an undeclared value',
      '{ final: 2 }',
      '{ finest: 2 }',
      `${op('format')}.components[1].credits.finest: is not one of the values of quality`,
    ],
    [
      'a map without a default',
      '        default: 4\n',
      '',
      `${op('format')}.components[0].default: missing key: a number of credits, or the word refuse`,
    ],
    [
      'a default that is neither credits nor refuse',
      'default: 4',
      'default: 4.5',
      `${op('format')}.components[0].default: must be a whole number of credits, 0 or more, or the word refuse`,
    ],
    [
      'a price that refuses a declared value',
      '{ title: Format }',
      '{ title: Format, values: [png, gif] }',
      `${op('strict')}.components[0].default: refuses gif, which format declares`,
    ],
    [
      'a price that refuses the default value',
      'format: { title: Format }',
      'format: { title: Format, default: gif }',
      `${op('strict')}.components[0].default: refuses gif, which format declares`,
    ],
  ])('%s', (_name, from, to, error) => {
    expect(errorsIn(withReplaced(from, to))).toEqual(containing(error));
  });
});

describe('a price of an operation that is not billable, or no price of one that is, is an error', () => {
  test.each<InvalidPlanRow>([
    [
      'a price of an operation that is not billable',
      'title: The same for all\n    billable: true',
      'title: The same for all\n    billable: false',
      `${op('flat')}.components: prices an operation that is not billable`,
    ],
    [
      'no price of a billable operation',
      'billable: false',
      'billable: true',
      `${op('free')}.components: leaves a billable operation without a price`,
    ],
  ])('%s', (_name, from, to, error) => {
    expect(errorsIn(withReplaced(from, to))).toEqual(containing(error));
  });
});

describe('an expression that does not always give credits is an error', () => {
  test.each<InvalidPlanRow>([
    [
      'an expression that does not parse',
      ...cel('pages +'),
      `${op('cel')}.components[0].expression: is not a CEL expression`,
    ],
    [
      'an unknown variable',
      ...cel('pages + sheets'),
      `${op('cel')}.components[0].expression: names sheets, which is not a quantity or attribute of this operation`,
    ],
    [
      'an unknown variable on a rare branch',
      ...cel('pages > 999 ? sheets : 1'),
      `${op('cel')}.components[0].expression: names sheets, which is not a quantity or attribute of this operation`,
    ],
    [
      'a decimal in an expression',
      ...cel('pages * 1.5'),
      `${op('cel')}.components[0].expression: uses a decimal, and a price may use whole numbers only`,
    ],
    [
      'a function in an expression',
      ...cel('int(double(pages))'),
      `${op('cel')}.components[0].expression: uses int(), and a price may use operators only`,
    ],
    [
      'a macro in an expression',
      ...cel('[1].exists(x, x == pages) ? 1 : 2'),
      `${op('cel')}.components[0].expression: uses a field, map or message, and a price may use numbers and text only`,
    ],
    [
      'a field in an expression',
      ...cel('pages.of'),
      `${op('cel')}.components[0].expression: uses a field, map or message, and a price may use numbers and text only`,
    ],
    [
      'text as a price',
      ...cel('mode'),
      `${op('cel')}.components[0].expression: gives no credits for mode = "fast": the result is not a whole number`,
    ],
    [
      'a price that is negative for some inputs',
      ...cel('500 - pages'),
      `${op('cel')}.components[0].expression: gives no credits for pages = 1000: the result is -500`,
    ],
    [
      'a price that divides by 0',
      ...cel('100 / (pages - 30)'),
      `${op('cel')}.components[0].expression: gives no credits for pages = 1: the result is -3`,
    ],
    ['a price of the wrong type on one branch', ...cel('pages == 77 ? true : 1'), ``],
    [
      'numbers mixed with text',
      ...cel('pages + mode'),
      `${op('cel')}.components[0].expression: gives no credits for pages = 1, mode = "fast": found no matching overload`,
    ],
  ])('%s', (_name, from, to, error) => {
    expect(errorsIn(withReplaced(from, to))).toEqual(containing(error));
  });
});
