/** Columns of a pack, as purchases and custom packs have them. */
import { type Group, numeric, text } from '../../pg/column.ts';
import type { Validity } from '../../pricing/plan.ts';
import { formatValidity, parseValidity } from '../../pricing/plan-file/validity.ts';

/** Padded to 9 decimals. */
export const amount = numeric(20, 9);

/** As plan files write it, but null for "never". */
export const validity = (group: Group) =>
  text(group, 'how long its credits last, e.g. "12 months"; null: for ever')
    .nullable()
    .as(toValidity, fromValidity);

function toValidity(stored: string | null): Validity {
  const validity = parseValidity(stored ?? 'never');
  if (validity === undefined) throw new Error(`stored validity ${stored} cannot be read`);
  return validity;
}

const fromValidity = (validity: Validity): string | null => validity && formatValidity(validity);
