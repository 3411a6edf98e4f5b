/** The databases that the accounts are divided among, as the replica that serves the page sees them. */
import { readCells } from '../api.ts';
import { useSession } from '../state.ts';
import { useRead } from '../use-read.ts';
import { Badge, Loaded, Section } from './basics.tsx';
import { Table } from './table.tsx';

/** Nothing where there is one cell. `round`: they are read again when it changes. */
export const Cells = ({ round }: { readonly round: number }) => {
  const { cells: count } = useSession();
  const isShown = count !== null && count > 1;
  const read = useRead(isShown ? `cells ${round}` : null, readCells, 'cells');
  if (!isShown) return null;
  return (
    <Section title="Cells">
      <Loaded read={read}>
        {(cells) => (
          <Table
            caption="Cells, in the order of CELLS_FILE"
            isDense
            rows={cells}
            keyOf={({ name }) => name}
            columns={[
              { title: 'Cell', isHead: true, cell: ({ name }) => name },
              {
                title: 'State',
                cell: ({ isReachable }) =>
                  isReachable ? (
                    <Badge tone="good">serves</Badge>
                  ) : (
                    <Badge tone="bad">cannot be reached</Badge>
                  ),
              },
              {
                title: 'Slots',
                isNumber: true,
                cell: ({ slots }) => slots.toLocaleString('en-US'),
              },
            ]}
          />
        )}
      </Loaded>
    </Section>
  );
};
