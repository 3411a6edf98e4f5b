/** Exported statements, read back from the files. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type ExportStatementsRequest,
  ExportStatementsRequest_Format as Format,
  Statement,
} from '../../src/gen/billing/v1/statement_service.ts';
import { defined } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { plansOfDeploy, requestId, startTestService, type TestService } from '../service.ts';

/** A name that a spreadsheet would read as a formula. */
const FORMULA = '-1-1';
const ACCOUNTS = [FORMULA, 'acme', 'globex'];

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({ plans: await plansOfDeploy() });
  scrip.setNow(Date.UTC(2031, 0, 10));
  const seqs = new Map<string, bigint>();
  for (const [index, accountId] of ACCOUNTS.entries()) {
    const named = () => ({ accountId, requestId: requestId() });
    await scrip.accounts.openAccount({ ...named(), planId: 'aspose-cloud' });
    const usages = { items: [{ operation: 'document.convert', count: 60n + BigInt(index) }] };
    const { entrySeq } = await scrip.billing.charge({ ...named(), usages });
    await scrip.billing.charge({ ...named(), credits: 5n });
    seqs.set(accountId, entrySeq);
  }
  scrip.setNow(Date.UTC(2031, 1, 10));
  const accountId = FORMULA;
  const seq = defined(seqs.get(accountId));
  await scrip.billing.refund({
    reason: 'a test',
    accountId,
    requestId: requestId(),
    seq,
    credits: 4n,
  });
  scrip.setNow(Date.UTC(2031, 2, 1));
});
afterAll(() => scrip.stop());

async function exportFile(request: Partial<ExportStatementsRequest>): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const { content } of scrip.statements.exportStatements(request)) pieces.push(content);
  return Buffer.concat(pieces).toString('utf8');
}

const ofPlan = { of: { $case: 'planId', value: 'aspose-cloud' } } as const;
const ofAccount = (accountId: string) =>
  ({ of: { $case: 'accountId', value: accountId } }) as const;
const january = { fromMonth: '2031-01' };
const bothMonths = { fromMonth: '2031-01', toMonth: '2031-02' };

/** Parses CSV by RFC 4180: quoted fields may hold anything, with quotes doubled. */
function readCsv(text: string): Record<string, string>[] {
  const rows = text
    .split('\r\n')
    .slice(0, -1)
    .map((line) =>
      [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) =>
        quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'),
      ),
    );
  const [names = [], ...lines] = rows;
  return lines.map((line) => Object.fromEntries(names.map((name, i) => [name, line[i] ?? ''])));
}

describe('statements of a plan', () => {
  test('as JSON are complete, ordered by month and then by account', async () => {
    const text = await exportFile({ ...ofPlan, ...bothMonths, format: Format.JSON });
    const statements = text
      .trimEnd()
      .split('\n')
      .map((line) => Statement.fromJSON(JSON.parse(line)));
    expect(statements.map(({ month, accountId }) => `${month} ${accountId}`)).toEqual(
      ['2031-01', '2031-02'].flatMap((month) => ACCOUNTS.map((id) => `${month} ${id}`)),
    );
    for (const statement of statements) {
      const { accountId, month } = statement;
      const got = await scrip.statements.getStatement({ accountId, month });
      expect(statement).toEqual(got.statement);
    }
  });

  test('as CSV have a row per line, with the same totals', async () => {
    const rows = readCsv(await exportFile({ ...ofPlan, ...january, format: Format.CSV }));
    expect([...new Set(rows.map((row) => row['account_id']))]).toEqual([
      `'${FORMULA}`,
      'acme',
      'globex',
    ]);
    const acme = rows.filter((row) => row['account_id'] === 'acme');
    expect(acme.map((row) => Object.values(row).slice(4))).toEqual([
      ['usage', 'document.convert', '61', '61', '0', '', '', ''],
      ['usage', '', '0', '5', '0', '', '', ''],
      ['credits', 'ALLOWANCE', '', '50', '', '', '', ''],
      ['overage', '1', '', '16', '', '0.020', 'USD', '0.32'],
      ['total', '', '', '16', '', '', 'USD', '0.32'],
    ]);
    expect(acme[0]).toMatchObject({ month: '2031-01', plan_id: 'aspose-cloud' });
    expect(Date.parse(acme[0]?.['closed_at'] ?? '')).toBeGreaterThanOrEqual(Date.UTC(2031, 1, 1));
  });
});

describe('statements of an account', () => {
  test('have negative amounts as plain decimals, and escape names that look like formulas', async () => {
    const request = { ...ofAccount(FORMULA), fromMonth: '2031-02', format: Format.CSV };
    const rows = readCsv(await exportFile(request));
    expect(rows.map((row) => Object.values(row).slice(4))).toEqual([
      ['adjustment', '2031-01', '', '4', '', '', 'USD', '-0.08'],
      ['total', '', '', '0', '', '', 'USD', '-0.08'],
    ]);
    expect(rows.map((row) => row['account_id'])).toEqual([`'${FORMULA}`, `'${FORMULA}`]);
  });

  test('of months without statements are a file with only a header', async () => {
    const request = { ...ofAccount('acme'), fromMonth: '2031-03', toMonth: '2031-12' };
    expect(await exportFile({ ...request, format: Format.JSON })).toBe('');
    expect(await exportFile({ ...request, format: Format.CSV })).toBe(
      'account_id,month,plan_id,closed_at,line,name,count,credits,refunded,unit_price,currency,amount\r\n',
    );
  });
});

describe('an export', () => {
  test.each<[string, Partial<ExportStatementsRequest>, string, string[]]>([
    ['without account or plan', { ...january, format: Format.CSV }, 'INVALID_FIELD', ['of']],
    ['without a format', { ...ofPlan, ...january }, 'INVALID_FIELD', ['format']],
    ['without a month', { ...ofPlan, format: Format.CSV }, 'INVALID_FIELD', ['from_month']],
    [
      'that ends before it begins',
      { ...ofPlan, fromMonth: '2031-02', toMonth: '2031-01', format: Format.CSV },
      'INVALID_FIELD',
      ['to_month'],
    ],
    [
      'of an unknown plan',
      { of: { $case: 'planId', value: 'none' }, ...january, format: Format.CSV },
      'PLAN_NOT_FOUND',
      [],
    ],
    [
      'of an unknown account',
      { ...ofAccount('nobody'), ...january, format: Format.CSV },
      'ACCOUNT_NOT_FOUND',
      [],
    ],
  ])('%s is refused', async (_, request, reason, fields) => {
    expect(await errorOf(exportFile(request))).toMatchObject({ reason, fields });
  });

  test('of many accounts is sent in pieces that end at line ends', async () => {
    scrip.setNow(Date.UTC(2032, 0, 10));
    // More than one read of the export.
    const mutations = Array.from({ length: 210 }, (_, index) => ({
      mutation: {
        $case: 'openAccount' as const,
        value: { accountId: `many-${index}`, requestId: requestId(), planId: 'aspose-cloud' },
      },
    }));
    await scrip.billing.batch({ mutations });
    scrip.setNow(Date.UTC(2032, 1, 1));
    const request = { ...ofPlan, fromMonth: '2032-01', format: Format.JSON };
    const pieces: string[] = [];
    for await (const { content } of scrip.statements.exportStatements(request))
      pieces.push(Buffer.from(content).toString('utf8'));
    expect(pieces.length).toBeGreaterThan(0);
    for (const piece of pieces) expect(piece.endsWith('\n')).toBe(true);
    const ids = pieces
      .join('')
      .trimEnd()
      .split('\n')
      .map((line) => Statement.fromJSON(JSON.parse(line)).accountId);
    expect(ids).toHaveLength(210 + ACCOUNTS.length);
    expect(new Set(ids).size).toBe(ids.length);
  });
});
