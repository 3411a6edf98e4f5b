/** The auto top-up that a request sets. */

import type { AutoTopUp as AutoTopUpMessage } from '../../gen/billing/v1/account_service.ts';
import type { AutoTopUpTerms } from '../../ledger/auto-top-up.ts';
import type { FieldChecker } from '../call/field-checker.ts';

const COOL_DOWN_DEFAULT_MS = 3_600_000;
const COOL_DOWN_MIN_MS = 60_000;
const COOL_DOWN_MAX_MS = 366 * 24 * 3_600_000;
const MONTHLY_CAP_MAX = 1_000;
const FIELD = 'auto_top_up.auto_top_up';

/** Checks what can be checked without the account: the rule checks the pack and the threshold. */
export function parseAutoTopUp(message: AutoTopUpMessage, check: FieldChecker): AutoTopUpTerms {
  const { monthlyCap } = message;
  if (monthlyCap < 1 || monthlyCap > MONTHLY_CAP_MAX)
    check.addViolation(`${FIELD}.monthly_cap`, `must be 1 to ${MONTHLY_CAP_MAX}`);
  return {
    packId: check.name(`${FIELD}.pack_id`, message.packId),
    threshold: check.credits(`${FIELD}.threshold`, message.threshold, 1n),
    onRefusal: message.onRefusal,
    coolDownMs: parseCoolDown(message, check),
    monthlyCap,
    customer: check.text(`${FIELD}.customer`, message.customer, 128, 1),
    paymentMethod: check.text(`${FIELD}.payment_method`, message.paymentMethod, 128, 1),
  };
}

function parseCoolDown({ coolDown }: AutoTopUpMessage, check: FieldChecker): number {
  if (!coolDown) return COOL_DOWN_DEFAULT_MS;
  const ms = Number(coolDown.seconds) * 1_000 + Math.floor(coolDown.nanos / 1_000_000);
  const valid = coolDown.nanos >= 0 && coolDown.nanos < 1_000_000_000;
  if (!(valid && ms >= COOL_DOWN_MIN_MS && ms <= COOL_DOWN_MAX_MS))
    check.addViolation(`${FIELD}.cool_down`, 'must be 1 minute to 366 days');
  return ms;
}
