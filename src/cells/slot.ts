/**
 * The slot of an account: the first 12 bits of the SHA-256 of its id. It never changes, so that programs in other
 * languages may compute it, too: docs/cells.md has test vectors.
 */
import { sha256 } from '../sha256.ts';

export const SLOTS = 4_096;

export function slotOf(accountId: string): number {
  return sha256(accountId).readUInt16BE(0) >> 4;
}
