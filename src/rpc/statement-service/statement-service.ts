/** StatementService: its RPCs, each with the function that serves it. */
import type { StatementServiceServer } from '../../gen/billing/v1/statement_service.ts';
import { handlersOf } from '../call/handlers.ts';
import type { SharedContext } from '../service-context.ts';
import { exportStatements } from './export.ts';
import { getRollForward } from './roll-forward.ts';
import { getStatement, listStatements } from './statements.ts';
import { getUsage } from './usage.ts';

export function statementService(context: SharedContext): StatementServiceServer {
  const { unary, serverStream } = handlersOf(context, 'billing.v1.StatementService');
  return {
    getStatement: unary('GetStatement', getStatement),
    listStatements: unary('ListStatements', listStatements),
    exportStatements: serverStream('ExportStatements', exportStatements),
    getUsage: unary('GetUsage', getUsage),
    getRollForward: unary('GetRollForward', getRollForward),
  };
}
