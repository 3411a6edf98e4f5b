/** The languages with an example in examples/ and a page in docs/clients/. */
import { spawnSync } from 'node:child_process';

export type Language = {
  readonly name: string;
  /** Its folder in examples/, its page in docs/clients/, and its code blocks there. */
  readonly id: string;
  /** Of its source files. */
  readonly extension: string;
  /** Its toolchain. */
  readonly needs: string;
  /** The section of its page whose commands build and run the example. Default: all of them. */
  readonly section?: string;
  /** Runs its scenarios. */
  readonly scenarios: string;
  /** Commands that succeed where the toolchain is present. */
  readonly probes: readonly (readonly [command: string, ...arguments: string[]])[];
};

const PYTHON = 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))';

export const LANGUAGES: readonly Language[] = [
  {
    name: 'TypeScript',
    id: 'typescript',
    extension: 'ts',
    needs: 'npm',
    section: 'Example',
    scenarios: 'node dist/scenarios.js',
    probes: [['npm', '--version']],
  },
  {
    name: 'Go',
    id: 'go',
    extension: 'go',
    needs: 'go',
    scenarios: './scenarios',
    probes: [['go', 'version']],
  },
  {
    name: 'Python',
    id: 'python',
    extension: 'py',
    needs: 'python3 of 3.10 or newer, with venv',
    scenarios: '.venv/bin/python scenarios.py',
    probes: [['python3', '-c', PYTHON]],
  },
  {
    name: 'Java',
    id: 'java',
    extension: 'java',
    needs: 'javac and mvn',
    scenarios: "java -cp 'target/examples-1.jar:target/lib/*' example.scrip.Scenarios",
    probes: [
      ['javac', '--version'],
      ['mvn', '--version'],
    ],
  },
];

export const hasToolchain = ({ probes }: Language): boolean =>
  probes.every(([command, ...args]) => spawnSync(command, args, { stdio: 'ignore' }).status === 0);
