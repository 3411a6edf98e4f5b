/** Reads what another system charged: JSON lines, or CSV where the name of the file says so. */
import { CsvError } from 'csv-parse';
import { z } from 'zod';
import { instant } from '../../pricing/plan-file/scalar-schemas.ts';
import { csvRows, isCsv, jsonRows } from '../read-rows.ts';
import type { OldCharge } from './compare.ts';

const CHARGE = z.strictObject({
  account_id: z.string().min(1),
  id: z.string().default(''),
  operation: z.string().default(''),
  credits: z
    .union([z.number().int(), z.string().regex(/^-?\d{1,18}$/, 'must be a whole number')])
    .transform(BigInt),
  at: instant,
});

/** A line that cannot be read. */
export class OldChargeError extends Error {}

export async function* readOldCharges(path: string): AsyncGenerator<OldCharge, void, void> {
  const rows = isCsv(path) ? csvCharges(path) : jsonCharges(path);
  for await (const { line, value } of rows) {
    const read = CHARGE.safeParse(value);
    if (!read.success) throw new OldChargeError(`line ${line}: ${describe(read.error)}`);
    const { account_id: accountId, ...charge } = read.data;
    yield { accountId, ...charge };
  }
}

const describe = ({ issues }: z.ZodError): string =>
  issues
    .map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': '))
    .join('; ');

type Row = { readonly line: number; readonly value: unknown };

async function* jsonCharges(path: string): AsyncGenerator<Row, void, void> {
  for await (const { line, value } of jsonRows(path)) {
    if (value === null) throw new OldChargeError(`line ${line}: is not one JSON object`);
    yield { line, value };
  }
}

async function* csvCharges(path: string): AsyncGenerator<Row, void, void> {
  try {
    for await (const { line, cells } of csvRows(path)) yield { line, value: cells };
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new OldChargeError(`line ${error['lines']}: cannot be read: ${error.message}`);
  }
}
