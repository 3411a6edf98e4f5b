/** `policy check`: validates a policy file as the service does. It needs no database. */

import { formatFileError } from '../pricing/plan-file/file-error.ts';
import { command, exitWith } from './command.ts';
import { INVALID_FILE } from './exit-codes.ts';
import { policyPath, readPolicy } from './policy-path.ts';

export const policyCheck = command('check', {
  description: 'Lists every error in a policy file, by default in POLICY_FILE.',
  examples: ['deploy/policy.yaml'],
})
  .argument('[policy-file]')
  .action(
    exitWith(async (file: string | undefined) => {
      const path = policyPath(file);
      const read = await readPolicy(path);
      if ('errors' in read) {
        for (const error of read.errors) process.stdout.write(`${formatFileError(error)}\n`);
        return INVALID_FILE;
      }
      const { issuers, rules } = read.policy;
      const counts = `callers: ${rules.length}, token issuers: ${issuers.length}`;
      process.stdout.write(`${path}: the policy is valid (${counts})\n`);
      return 0;
    }),
  );
