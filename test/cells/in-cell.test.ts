/** Reads of several cells while accounts move between them. */
import { expect, test } from 'vitest';
import { wholeSlots } from '../../src/cells/cell-map.ts';
import { CellRouter } from '../../src/cells/cell-router.ts';
import { slotOf } from '../../src/cells/slot.ts';
import { findInCells, readInCells } from '../../src/rpc/call/in-cell.ts';
import type { ServiceContext } from '../../src/rpc/service-context.ts';

const ACCOUNT = 'acme';

/** Two cells, and the cell that the account is in, which begins in the second one. */
function startRouter() {
  const router = new CellRouter<ServiceContext>(['one', 'two'], {
    ...{ version: 1, cells: wholeSlots('two') },
  });
  for (const cell of router.names) router.add(cell, { cell, cells: router } as ServiceContext);
  let home = 'two';
  const move = () => {
    router.stop('two', new Set([slotOf(ACCOUNT)]));
    home = 'one';
    router.follow({ version: 2, cells: wholeSlots('one') });
    router.stop('two', new Set());
  };
  const has = ({ cell }: ServiceContext) => cell === home;
  return { router, move, has };
}

const MOVED = expect.objectContaining({ reason: 'DATABASE_UNAVAILABLE' });

test('what no cell has is not found', async () => {
  const { router } = startRouter();
  expect(await findInCells(router, async () => null)).toBeNull();
});

test('what moves between the reads of two cells is not taken for missing', async () => {
  const { router, move, has } = startRouter();
  const finding = findInCells(router, async (context) => {
    const found = has(context) ? ACCOUNT : null;
    if (context.cell === 'one') move();
    return found;
  });
  await expect(finding).rejects.toEqual(MOVED);
  expect(await findInCells(router, async (context) => (has(context) ? ACCOUNT : null))).toBe(
    ACCOUNT,
  );
});

test('a list over all cells fails where accounts moved while it was read', async () => {
  const { router, move, has } = startRouter();
  const reading = readInCells(router.any(), '', async (context) => {
    const found = has(context);
    if (context.cell === 'one') move();
    await Promise.resolve();
    return found;
  });
  await expect(reading).rejects.toEqual(MOVED);
  expect(await readInCells(router.any(), '', async (context) => has(context))).toEqual([
    true,
    false,
  ]);
});

test('a read of one account fails where the account moved, not where others did', async () => {
  const { router, move } = startRouter();
  const reading = readInCells(router.any(), ACCOUNT, async ({ cell }) => {
    move();
    return cell;
  });
  await expect(reading).rejects.toEqual(MOVED);
  const other = startRouter();
  const read = await readInCells(other.router.any(), ACCOUNT, async ({ cell }) => {
    other.router.stop('two', new Set([slotOf(ACCOUNT) === 0 ? 1 : 0]));
    return cell;
  });
  expect(read).toEqual(['two']);
});
