/** Serves calls with the context of their account's cell. A cell that cannot be used is named in the failure. */
import { type CellRouter, inCell } from '../../cells/cell-router.ts';
import { Failure } from '../../failure.ts';
import { toDatabaseFailure } from '../../pg/failures.ts';
import type { ServiceContext, SharedContext } from '../service-context.ts';

/**
 * Calls `serve` with the account's cell; with any cell where the account is empty. It fails as if the cell could not
 * be used where `serve` has failed and the account has left the cell meanwhile.
 */
export function serveInCell<Result>(
  { cells }: Pick<SharedContext, 'cells'>,
  accountId: string,
  serve: (context: ServiceContext) => Promise<Result>,
): Promise<Result> {
  cells.assertWhole();
  // Every call comes here: with one cell it is served at once.
  if (cells.isOne || accountId === '') return serve(cells.any());
  return serveUnlessMoved(cells.of(accountId), accountId, serve);
}

const NOT_FOUND: ReadonlySet<Failure['reason']> = new Set([
  'ACCOUNT_NOT_FOUND',
  'PURCHASE_NOT_FOUND',
]);

async function serveUnlessMoved<Result>(
  context: ServiceContext,
  accountId: string,
  serve: (context: ServiceContext) => Promise<Result>,
): Promise<Result> {
  try {
    const result = await naming(context, serve);
    if (result instanceof Failure) await assertServed(context, accountId, result);
    return result;
  } catch (error) {
    await assertServed(context, accountId, error);
    throw error;
  }
}

/** An account that is not found may have left a moment ago, as may a purchase that a webhook names: the database knows. */
async function assertServed(
  { cells, cell, readMap }: ServiceContext,
  accountId: string,
  failure: unknown,
): Promise<void> {
  if (failure instanceof Failure && NOT_FOUND.has(failure.reason)) await readMap();
  cells.assertServed(accountId, cell);
}

/** The same for a read: it also fails where it may have found only a part of what there is. */
export function readOfAccount<Result>(
  shared: SharedContext,
  accountId: string,
  read: (context: ServiceContext) => Promise<Result>,
): Promise<Result> {
  const { cells } = shared;
  cells.assertWhole();
  if (cells.isOne || accountId === '') return read(cells.any());
  return serveInCell(shared, accountId, async (context) => {
    const result = await read(context);
    cells.assertServed(accountId, context.cell);
    return result;
  });
}

/**
 * What a read finds in the account's cell; where the account is empty, in each cell, in their order. Throws
 * DATABASE_UNAVAILABLE where accounts were moved meanwhile, which it may have missed.
 */
export async function readInCells<Result>(
  { cells }: SharedContext,
  accountId: string,
  read: (context: ServiceContext) => Promise<Result>,
): Promise<readonly Result[]> {
  const all = cells.allOf(accountId);
  if (cells.isOne) return await Promise.all(all.map(read));
  const { changing } = cells;
  const results = await Promise.all(all.map((cell) => naming(cell, read)));
  if (accountId === '') cells.assertUnchanged(changing);
  else for (const { cell } of all) cells.assertServed(accountId, cell);
  return results;
}

/** What the first cell that has it finds. Null: none has it. Throws DATABASE_UNAVAILABLE where one that may have it was not asked. */
export async function findInCells<Result>(
  cells: CellRouter<ServiceContext>,
  find: (context: ServiceContext) => Promise<Result | null>,
): Promise<Result | null> {
  const { changing } = cells;
  for (const context of cells.reachable()) {
    const found = await find(context);
    if (found !== null) return found;
  }
  cells.assertWhole();
  cells.all();
  cells.assertUnchanged(changing);
  return null;
}

/** Calls `read` with a cell. */
export function readInCell<Result>(
  context: ServiceContext,
  read: (context: ServiceContext) => Promise<Result>,
): Promise<Result> {
  return context.cells.isOne ? read(context) : naming(context, read);
}

/** The failure of a cell's database, returned or thrown, names the cell. */
async function naming<Result>(
  context: ServiceContext,
  serve: (context: ServiceContext) => Promise<Result>,
): Promise<Result> {
  try {
    const result = await serve(context);
    return result instanceof Failure ? (inCell(result, context.cell) as Result) : result;
  } catch (error) {
    const failure = error instanceof Failure ? error : toDatabaseFailure(error);
    throw failure ? inCell(failure, context.cell) : error;
  }
}
