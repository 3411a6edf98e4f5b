/** Statements as messages. */
import { Grant_Category } from '../../gen/billing/v1/ledger.ts';
import type { Statement as StatementMessage } from '../../gen/billing/v1/statement_service.ts';
import type { Statement } from '../../ledger/statement.ts';
import { overageRatesMessage } from './plan.ts';
import { sumMessage } from './sum.ts';

export function statementMessage(statement: Statement): StatementMessage {
  const { rates, closedAt } = statement;
  return {
    accountId: statement.accountId,
    month: statement.month,
    planId: statement.planId,
    closedAt: closedAt === null ? undefined : new Date(closedAt),
    afterSeq: statement.afterSeq,
    lastSeq: statement.lastSeq,
    usage: statement.usage.map(({ operation, count, credits, refunded }) => ({
      operation,
      count: sumMessage(count),
      credits: sumMessage(credits),
      refunded: sumMessage(refunded),
    })),
    creditsUsed: [...statement.creditsUsed]
      .map(([category, credits]) => ({
        category: Grant_Category[category],
        credits: sumMessage(credits),
      }))
      .sort((a, b) => a.category - b.category),
    overage: statement.overage,
    owed: sumMessage(statement.owed),
    owedPaid: sumMessage(statement.owedPaid),
    overageRates: rates ? overageRatesMessage(rates) : undefined,
    overageLines: statement.lines.map(({ tier, quantity, unitPrice, amount }) => ({
      tier,
      quantity,
      unitPrice,
      amount: rates ? { currency: rates.currency, amount } : undefined,
    })),
    adjustments: statement.adjustments.map(({ month, credits, amount }) => ({
      month,
      credits,
      amount: amount ?? undefined,
    })),
    total: statement.total ?? undefined,
    otherTotals: [...statement.otherTotals],
  };
}
