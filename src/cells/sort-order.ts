/** Whether the databases of all cells sort texts alike: lists over all cells go by it. */
import type { CellAddress } from './cells-file.ts';
import { withClient } from './recorded-map.ts';

/** What orders of bytes and of languages differ in. */
const TEXTS = [
  'a',
  'B',
  'A',
  'b',
  'a-b',
  'ab',
  'a_b',
  'a.b',
  'A-b',
  'aa',
  'ch',
  'cz',
  'z',
  '1',
  '~',
];

const sortedBy = ({ url }: CellAddress): Promise<string> =>
  withClient(url, async (client) => {
    const { rows } = await client.query<{ sorted: string }>(
      `select string_agg(t, ' ' order by t) as sorted from unnest($1::text[]) t`,
      [TEXTS],
    );
    return rows[0]?.sorted as string;
  });

/** The cells that sort otherwise than the first one, a line each. */
export async function findDifferingOrders(
  cells: readonly CellAddress[],
): Promise<readonly string[]> {
  const [first, ...others] = await Promise.all(cells.map(sortedBy));
  return others.flatMap((sorted, index) =>
    sorted === first
      ? []
      : [
          `the databases of cells ${cells[0]?.name} and ${cells[index + 1]?.name} sort texts differently: lists over all ` +
            'cells can leave accounts out',
        ],
  );
}
