/** Lists over several cells: whatever the pages are, every row is in one of them, in the order of its cell. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { wholeSlots } from '../../src/cells/cell-map.ts';
import { CellRouter } from '../../src/cells/cell-router.ts';
import { Account } from '../../src/gen/billing/v1/account_service.ts';
import { mergeReads } from '../../src/rpc/call/merge-reads.ts';
import { type CellPage, mergedPage, toCellPage } from '../../src/rpc/call/merged-pages.ts';
import type { ServiceContext } from '../../src/rpc/service-context.ts';

/** Rows of cells; a row that is negative is passed over, as one that a filter leaves out. */
const cellsOfRows = fc.array(fc.array(fc.integer({ min: -20, max: 60 }), { maxLength: 30 }), {
  minLength: 1,
  maxLength: 4,
});

/** A list whose cells look at `lookedAt` rows for a page at most. The key of a row is its place. */
async function pageThrough(
  cells: readonly (readonly number[])[],
  pageSize: number,
  lookedAt: number,
) {
  const names = cells.map((_, index) => `cell-${index}`);
  const router = new CellRouter<ServiceContext>(names, { version: 1, cells: wholeSlots('cell-0') });
  for (const name of names) router.add(name, { cell: name, cells: router } as ServiceContext);
  const rowsOf = new Map(names.map((name, index) => [name, cells[index] ?? []]));
  type Row = { readonly value: number; readonly key: number };
  const read = async ({ cell }: ServiceContext, after: string | null): Promise<CellPage<Row>> => {
    const all = rowsOf.get(cell) ?? [];
    const from = after === null ? 0 : Number(after) + 1;
    const rows: Row[] = [];
    for (let key = from; key < all.length; key++) {
      if (key - from === lookedAt || rows.length === pageSize)
        return { rows, next: String(key - 1) };
      const value = all[key] as number;
      if (value >= 0) rows.push({ value, key });
    }
    return { rows, next: null };
  };
  const pages: number[][] = [];
  for (let token = ''; ; ) {
    const page: { messages: Account[]; nextPageToken: string } = await mergedPage(router.any(), {
      ...{ list: ['rows'], accountId: '', pageToken: token, pageSize, keyPattern: /^\d+$/, read },
      order: { byRows: (one, other) => one.value - other.value },
      keyOf: ({ key }) => String(key),
      codec: Account,
      toMessage: ({ value }) => Account.fromPartial({ displayName: String(value) }),
    });
    pages.push(page.messages.map(({ displayName }) => Number(displayName)));
    token = page.nextPageToken;
    if (token === '') return pages;
  }
}

const page = fc.integer({ min: 1, max: 7 });

test('pages have every row once, and none is larger than asked for', async () => {
  await fc.assert(
    fc.asyncProperty(cellsOfRows, page, page, async (cells, pageSize, lookedAt) => {
      const pages = await pageThrough(cells, pageSize, lookedAt);
      const shown = cells.flat().filter((row) => row >= 0);
      expect(pages.flat().sort((a, b) => a - b)).toEqual(shown.sort((a, b) => a - b));
      for (const rows of pages) expect(rows.length).toBeLessThanOrEqual(pageSize);
    }),
  );
});

const sorted = cellsOfRows.map((cells) =>
  cells.map((rows) => rows.map(Math.abs).toSorted((a, b) => a - b)),
);

test('where the rows of each cell are in order, so are all', async () => {
  await fc.assert(
    fc.asyncProperty(sorted, page, page, async (cells, pageSize, lookedAt) => {
      const rows = (await pageThrough(cells, pageSize, lookedAt)).flat();
      expect(rows).toEqual(rows.toSorted((a, b) => a - b));
    }),
  );
});

/** Different rows, each in one of three cells, and where some of them move between two pages. */
const movingRows = fc.record({
  cellOf: fc.array(fc.nat({ max: 2 }), { maxLength: 30 }),
  moves: fc.array(fc.array(fc.tuple(fc.nat({ max: 29 }), fc.nat({ max: 2 }))), { maxLength: 20 }),
});

/** One that a filter leaves out. */
const isHidden = (row: number): boolean => row % 3 === 1;

test('rows that move to another cell between two pages are shown once', async () => {
  await fc.assert(
    fc.asyncProperty(movingRows, page, page, async ({ cellOf, moves }, pageSize, lookedAt) => {
      const cells = [...cellOf];
      const names = ['cell-0', 'cell-1', 'cell-2'];
      const router = new CellRouter<ServiceContext>(names, {
        ...{ version: 1, cells: wholeSlots('cell-0') },
      });
      for (const name of names) router.add(name, { cell: name, cells: router } as ServiceContext);
      const keyOf = ({ value }: { value: number }) => String(value);
      const shown: number[] = [];
      let token = '';
      for (let count = 0; count === 0 || token !== ''; count++) {
        const { messages, nextPageToken } = await mergedPage<{ value: number }, Account>(
          router.any(),
          {
            ...{ list: ['rows'], accountId: '', pageToken: token, pageSize, keyPattern: /^\d+$/ },
            read: async ({ cell }, after) => {
              const all = [...cells.keys()].filter(
                (row) => names[cells[row] as number] === cell && row > Number(after ?? -1),
              );
              const seen = all.slice(0, lookedAt);
              const rows = seen.filter((row) => !isHidden(row)).map((value) => ({ value }));
              const { next, ...found } = toCellPage(rows, pageSize, keyOf);
              const passed = seen.length < all.length ? String(seen.at(-1)) : null;
              return { ...found, next: next ?? passed };
            },
            ...{ order: { byKeys: () => (one, other) => Number(one) - Number(other) }, keyOf },
            ...{
              codec: Account,
              toMessage: (row) => Account.fromPartial({ displayName: keyOf(row) }),
            },
          },
        );
        shown.push(...messages.map(({ displayName }) => Number(displayName)));
        token = nextPageToken;
        for (const [row, cell] of moves[count] ?? []) if (row < cells.length) cells[row] = cell;
      }
      expect(shown).toEqual([...cellOf.keys()].filter((row) => !isHidden(row)));
    }),
  );
});

test('an export reads every row of every cell, in order', async () => {
  await fc.assert(
    fc.asyncProperty(sorted, page, async (cells, pageSize) => {
      const reads = cells.map((rows) => {
        let from = 0;
        return async () => {
          const read = rows.slice(from, from + pageSize);
          from += pageSize;
          return read;
        };
      });
      const rows: number[] = [];
      for await (const some of mergeReads(reads, pageSize, (a, b) => a - b)) rows.push(...some);
      expect(rows).toEqual(cells.flat().toSorted((a, b) => a - b));
    }),
  );
});
