/** The client package stands alone: it has what its package.json says, and nothing of the service. */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';

const folder = new URL('../../clients/typescript/', import.meta.url).pathname;
const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
  readonly dependencies: Readonly<Record<string, string>>;
};
const root = JSON.parse(readFileSync(join(folder, '../../package.json'), 'utf8')) as {
  readonly dependencies: Readonly<Record<string, string>>;
};

const imports = globSync('src/**/*.ts', { cwd: folder }).flatMap((file) =>
  [...readFileSync(join(folder, file), 'utf8').matchAll(/\bfrom ['"]([^'"]+)['"]/g)].map(
    ([, specifier = '']) => ({ file, specifier }),
  ),
);

test('its modules import only its own, those of Node, gRPC and the protobuf runtime', () => {
  const others = imports.filter(({ file, specifier }) =>
    specifier.startsWith('.')
      ? !join(dirname(file), specifier).startsWith('src/')
      : !/^(node:|@grpc\/grpc-js$|@bufbuild\/protobuf\/wire$)/.test(specifier),
  );
  expect(imports.length).toBeGreaterThan(50);
  expect(others).toEqual([]);
});

test.each(Object.entries(dependencies))(
  'it takes the version of %s that is tested here, and later ones: %s',
  (name, range) => {
    const [, major] = /^\^(\d+)\.\d+\.\d+$/.exec(range) ?? [];
    expect(root.dependencies[name]?.split('.')[0]).toBe(major);
  },
);
