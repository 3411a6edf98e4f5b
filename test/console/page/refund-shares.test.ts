/** The preview of a refund: which grants get which part, and what is left of an entry. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { refundable, shareOut } from '../../../clients/console/src/actions/refund-shares.ts';
import { OVERAGE, OWED } from '../../../clients/console/src/parts/entry.ts';

const entry = (...parts: readonly (readonly [source: string, credits: bigint])[]) => ({
  seq: '7',
  kind: 'KIND_CHARGE' as const,
  credits: String(parts.reduce((sum, [, credits]) => sum + credits, 0n)),
  split: parts.map(([source, credits]) => ({
    ...(source === OVERAGE || source === OWED ? { [source]: true } : { grantId: source }),
    credits: String(credits),
  })),
});

test('the last to pay gets its credits back first', () => {
  const charge = entry(['5', 40n], ['3', 76n], [OVERAGE, 4n]);
  expect(shareOut(charge, 120n, 50n)).toEqual([
    { source: OVERAGE, credits: 4n },
    { source: '3', credits: 46n },
  ]);
});

test('what is owed was used last, and goes first', () => {
  expect(shareOut(entry(['5', 40n], [OWED, 10n]), 50n, 12n)).toEqual([
    { source: OWED, credits: 10n },
    { source: '5', credits: 2n },
  ]);
});

test('what was refunded before came from there, too', () => {
  const charge = entry(['5', 40n], ['3', 76n], [OVERAGE, 4n]);
  expect(shareOut(charge, 70n, 70n)).toEqual([
    { source: '3', credits: 30n },
    { source: '5', credits: 40n },
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
      const sums = new Map<string, bigint>();
      for (const { source, credits } of [
        ...shareOut(charge, total, a),
        ...shareOut(charge, total - a, b),
      ])
        sums.set(source, (sums.get(source) ?? 0n) + credits);
      const whole = shareOut(charge, total, a + b);
      expect(sums).toEqual(new Map(whole.map(({ source, credits }) => [source, credits])));
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
