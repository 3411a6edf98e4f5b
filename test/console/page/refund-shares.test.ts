/** The preview of a refund: which grants get which part, and what is left of an entry. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { refundable, shareOut } from '../../../clients/console/src/actions/refund-shares.ts';

const entry = (...parts: readonly (readonly [grantId: string | null, credits: bigint])[]) => ({
  seq: '7',
  kind: 'KIND_CHARGE' as const,
  credits: String(parts.reduce((sum, [, credits]) => sum + credits, 0n)),
  split: parts.map(([grantId, credits]) =>
    grantId === null
      ? { overage: true, credits: String(credits) }
      : { grantId, credits: String(credits) },
  ),
});

test('the last to pay gets its credits back first', () => {
  const charge = entry(['5', 40n], ['3', 76n], [null, 4n]);
  expect(shareOut(charge, 120n, 50n)).toEqual([
    { grantId: null, credits: 4n },
    { grantId: '3', credits: 46n },
  ]);
});

test('what was refunded before came from there, too', () => {
  const charge = entry(['5', 40n], ['3', 76n], [null, 4n]);
  expect(shareOut(charge, 70n, 70n)).toEqual([
    { grantId: '3', credits: 30n },
    { grantId: '5', credits: 40n },
  ]);
});

test('a refund in two parts gives what one would give', () => {
  const parts = fc.array(fc.bigInt({ min: 1n, max: 50n }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(parts, fc.nat(1_000), fc.nat(1_000), (sizes, first, second) => {
      const charge = entry(...sizes.map((size, index) => [String(index + 1), size] as const));
      const total = BigInt(charge.credits);
      const a = BigInt(first) % (total + 1n);
      const b = BigInt(second) % (total - a + 1n);
      const sums = new Map<string | null, bigint>();
      for (const { grantId, credits } of [
        ...shareOut(charge, total, a),
        ...shareOut(charge, total - a, b),
      ])
        sums.set(grantId, (sums.get(grantId) ?? 0n) + credits);
      const whole = shareOut(charge, total, a + b);
      expect(sums).toEqual(new Map(whole.map(({ grantId, credits }) => [grantId, credits])));
    }),
  );
});

test('refunds of an entry leave the rest of it, and other entries nothing', () => {
  const charge = entry(['1', 100n]);
  const refund = (refundedSeq: string, credits: string) => ({
    entry: { kind: 'KIND_REFUND' as const, refundedSeq, credits },
  });
  expect(refundable(charge, [])).toBe(100n);
  expect(refundable(charge, [refund('7', '30'), refund('8', '5')])).toBe(70n);
  expect(refundable({ ...charge, kind: 'KIND_RESERVE' }, [])).toBe(0n);
});
