/** Reads what another system charged: JSON lines, or CSV where the name of the file says so. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { CsvError, parse } from 'csv-parse';
import { z } from 'zod';
import { instant } from '../../pricing/plan-file/scalar-schemas.ts';
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
  const rows = /\.csv$/i.test(path) ? csvRows(path) : jsonRows(path);
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

type Line = { readonly line: number; readonly value: unknown };

async function* jsonRows(path: string): AsyncGenerator<Line, void, void> {
  const lines = createInterface({ input: createReadStream(path, 'utf8'), crlfDelay: Infinity });
  let line = 0;
  for await (const text of lines) {
    line += 1;
    if (text.trim() !== '') yield { line, value: parseJson(text, line) };
  }
}

function parseJson(text: string, line: number): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new OldChargeError(`line ${line}: is not one JSON object`);
  }
}

type ParsedRow = {
  readonly record: Readonly<Record<string, string>>;
  readonly info: { readonly lines: number };
};

async function* csvRows(path: string): AsyncGenerator<Line, void, void> {
  const parser = parse({
    bom: true,
    info: true,
    skip_empty_lines: true,
    trim: true,
    columns: true,
  });
  const file = createReadStream(path);
  file.on('error', (error) => parser.destroy(error));
  try {
    for await (const { record, info } of file.pipe(parser) as AsyncIterable<ParsedRow>)
      yield { line: info.lines, value: record };
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new OldChargeError(`line ${error['lines']}: cannot be read: ${error.message}`);
  }
}
