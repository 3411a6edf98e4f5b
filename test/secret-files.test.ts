/** `NAME_FILE`: secrets that come from files. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '../src/config.ts';
import { readSecretFiles, SECRETS } from '../src/secret-files.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'scrip-secrets-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** The path of a file with this content. */
function fileWith(content: string): string {
  const path = join(directory, 'secret');
  writeFileSync(path, content);
  return path;
}

describe.each(SECRETS)('%s_FILE', (name) => {
  const read = (env: Readonly<Record<string, string>>) => {
    const { env: whole, problems } = readSecretFiles(env);
    return { value: whole[name], problems };
  };
  const fromFile = (content: string) => read({ [`${name}_FILE`]: fileWith(content) });

  test.each([
    ['alone', 'a secret'],
    ['and a line break', 'a secret\n'],
    ['and a line break of Windows', 'a secret\r\n'],
    ['between spaces', '  a secret \n\n'],
  ])('names a file that holds the value %s', (_, content) => {
    expect(fromFile(content)).toEqual({ value: 'a secret', problems: [] });
  });

  test.each(['', '\n', ' \n '])('is refused where the file holds nothing: %j', (content) => {
    expect(fromFile(content).problems).toEqual([`${name}_FILE names an empty file`]);
  });

  test.each([
    ['there is no such file', () => join(directory, 'nowhere'), 'ENOENT'],
    ['it is a directory', () => directory, 'EISDIR'],
  ])('is refused where %s', (_, path, code) => {
    const { problems } = read({ [`${name}_FILE`]: path() });
    expect(problems).toEqual([`${name}_FILE cannot be read: ${code}`]);
  });

  test('is refused without a trace of the secret, where that was given instead of a path', () => {
    const secret = 'sk_live_given_by_mistake';
    expect(JSON.stringify(read({ [`${name}_FILE`]: secret }).problems)).not.toContain(secret);
  });

  test('is refused beside the variable itself', () => {
    const { problems } = read({ [name]: 'one', [`${name}_FILE`]: fileWith('other') });
    expect(problems).toEqual([`${name} and ${name}_FILE are both set`]);
  });

  test('is unset where it is empty', () => {
    expect(read({ [name]: 'one', [`${name}_FILE`]: '' })).toEqual({ value: 'one', problems: [] });
  });

  test('may be set where the variable is empty', () => {
    const env = { [name]: '', [`${name}_FILE`]: fileWith('from the file') };
    expect(read(env)).toEqual({ value: 'from the file', problems: [] });
  });
});

describe('the configuration', () => {
  test('has the values of files, and checks them as those of variables', () => {
    const url = 'postgres://me:pass@db/scrip';
    expect(readConfig({ DATABASE_URL_FILE: fileWith(`${url}\n`) })).toMatchObject({
      config: { DATABASE_URL: url },
    });
    expect(readConfig({ DATABASE_URL_FILE: fileWith('db:5432') })).toEqual({
      problems: ['DATABASE_URL must be a postgres:// URL'],
    });
  });

  test('reports what is wrong with files beside what is wrong with variables', () => {
    expect(readConfig({ STRIPE_SECRET_KEY_FILE: '/nowhere', PORT: 'x' })).toEqual({
      problems: [
        'STRIPE_SECRET_KEY_FILE cannot be read: ENOENT',
        'PORT must be a whole number, 0 to 65535',
      ],
    });
  });

  test('reads no file for variables that hold no secret', () => {
    expect(readConfig({ PORT_FILE: '/nowhere' })).toHaveProperty('config.PORT', 50_051);
  });
});
