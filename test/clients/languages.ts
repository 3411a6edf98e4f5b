/** The languages with an example in examples/ and a page in docs/clients/. */
import { spawnSync } from 'node:child_process';

export type Language = {
  readonly name: string;
  /** Its folder in examples/, its page in docs/clients/, and its code blocks there. */
  readonly id: string;
  /** Of its source files. */
  readonly extension: string;
  /** Commands that succeed where its toolchain is present. */
  readonly needs: readonly (readonly [command: string, ...arguments: string[]])[];
};

export const LANGUAGES: readonly Language[] = [
  { name: 'Go', id: 'go', extension: 'go', needs: [['go', 'version']] },
  {
    name: 'Python',
    id: 'python',
    extension: 'py',
    needs: [['python3', '-c', 'import ensurepip, venv']],
  },
  {
    name: 'Java',
    id: 'java',
    extension: 'java',
    needs: [
      ['javac', '--version'],
      ['mvn', '--version'],
    ],
  },
];

/** The command that the language lacks here; null if it can be built. */
export function missingTool({ needs }: Language): string | null {
  for (const [command, ...args] of needs)
    if (spawnSync(command, args, { stdio: 'ignore' }).status !== 0)
      return [command, ...args].join(' ');
  return null;
}
