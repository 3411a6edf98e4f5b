/** Which policy file a command reads. */
import { readFile } from 'node:fs/promises';
import { parsePolicyFile } from '../policy/policy-file.ts';
import { argumentError } from './command.ts';

/** The file that was named, else that of the service. */
export function policyPath(named: string | undefined): string {
  const path = named ?? process.env['POLICY_FILE'];
  if (path) return path;
  throw argumentError('a policy file is needed, as argument or as POLICY_FILE');
}

export const readPolicy = async (path: string): Promise<ReturnType<typeof parsePolicyFile>> =>
  parsePolicyFile(path, await readFile(path, 'utf8'));
