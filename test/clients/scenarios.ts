/** The scenarios that the examples run, one list for all languages. */
import { readFileSync } from 'node:fs';
import { CuttingProxy, type Loss } from './cutting-proxy.ts';
import type { ProtectedService } from './protected-service.ts';

/** What each prints about an account with 20 credits, as examples/README.md shows it. */
export function expectedLines(): string {
  const page = readFileSync(new URL('../../examples/README.md', import.meta.url), 'utf8');
  const [, lines] = /^```text\n(estimate: .*?)^```$/ms.exec(page) ?? [];
  if (lines === undefined) throw new Error('examples/README.md shows no scenarios');
  return lines;
}

/** Answers to charges that get lost: one where the client gives up, one where gRPC sees the connection break. */
const LOSSES: readonly Loss[] = [
  { reference: 'unknown-outcome', how: 'silence' },
  { reference: 'history', how: 'reset' },
];

/** A network between the scenarios and the service that loses answers. */
export const networkOf = ({ billing, service }: ProtectedService, accountId: string) =>
  new CuttingProxy(service.port, LOSSES, async (reference) => {
    for await (const { entries } of billing.streamHistory({ accountId, reference }))
      if (entries.length > 0) return true;
    return false;
  });
