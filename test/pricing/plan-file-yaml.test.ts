import { describe, expect, test } from 'vitest';
import { containing, errorsIn, type InvalidPlanRow, withReplaced } from './fixtures.ts';

describe('ambiguous YAML is an error', () => {
  test.each<InvalidPlanRow>([
    [
      'a duplicate key',
      'title: Everything a plan can say',
      'title: A\ntitle: B',
      'line 4, column 1: duplicate key',
    ],
    ['an operation listed twice', '  job.free:', '  job.flat:', 'line 80, column 3: duplicate key'],
    [
      'YAML that does not parse',
      'overage: { limit: 10000 }',
      'overage: { limit: 10000',
      'line 8, column 3: is not YAML',
    ],
    [
      'an anchor',
      'limit: 10000',
      'limit: &limit 10000',
      'line 7, column 28: sets an anchor, which is not allowed',
    ],
    [
      'an alias',
      'limit: 10000',
      'limit: *limit',
      'line 7, column 21: uses an alias; write the value out',
    ],
    [
      'a merge key',
      'overage: { limit: 10000 }',
      'overage: { limit: 1, <<: { limit: 2 } }',
      'terms.overage["<<"]: unknown key',
    ],
    [
      'a tag',
      'limit: 10000',
      'limit: !!int "10000"',
      'line 7, column 27: uses the tag tag:yaml.org,2002:int, which is not allowed',
    ],
    [
      'a number that is not decimal',
      'limit: 10000',
      'limit: 0x2710',
      'line 7, column 21: is a number that is not written in decimal',
    ],
    [
      'a key that is a list',
      'overage: { limit: 10000 }',
      '? [overage]\n  : 1',
      'line 7, column 5: is not YAML',
    ],
    ['the key __proto__', 'overage:', '__proto__:', 'line 7, column 3: unknown key'],
    ['a second document', 'packs:', '---\npacks:', 'is not YAML'],
    [
      'a directive',
      '\nplan_id',
      '%YAML 1.1\n---\nplan_id',
      'line 1: begins with a directive, which is not allowed',
    ],
  ])('%s', (_name, from, to, error) => {
    expect(errorsIn(withReplaced(from, to))).toEqual(containing(error));
  });
});

describe('a file that is not a mapping is an error', () => {
  test.each(['', '# only a comment', 'null', '[]', 'text', '7'])('%o is not a mapping', (text) => {
    expect(errorsIn(text)).toEqual(['(whole file): must be a mapping']);
  });
});
