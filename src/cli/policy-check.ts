/** `policy check`: validates a policy file as the service does. It needs no database. */
import { parseArgs } from 'node:util';
import { formatFileError } from '../pricing/plan-file/file-error.ts';
import type { Command } from './command.ts';
import { INVALID_POLICY, policyPath, readPolicy } from './policy-path.ts';

export const policyCheck: Command = {
  usage: '[<policy-file>]',
  description: 'Lists every error in a policy file, by default in POLICY_FILE.',
  async run(args) {
    const { positionals } = parseArgs({ args, allowPositionals: true });
    const path = policyPath(positionals[0]);
    const read = await readPolicy(path);
    if ('errors' in read) {
      for (const error of read.errors) process.stdout.write(`${formatFileError(error)}\n`);
      return INVALID_POLICY;
    }
    const { issuers, rules } = read.policy;
    const counts = `callers: ${rules.length}, token issuers: ${issuers.length}`;
    process.stdout.write(`${path}: the policy is valid (${counts})\n`);
    return 0;
  },
};
