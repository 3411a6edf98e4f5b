/** Refuses calls on accounts that have too many in flight, before their requests are checked and decoded. */
import type { DescMessage } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import type { Failure } from '../../failure.ts';
import type { SharedContext } from '../service-context.ts';

/** The number of `account_id` in every request that has one at its beginning. */
const ACCOUNT_FIELD = 1;
const ACCOUNT_TAG = (ACCOUNT_FIELD << 3) | WireType.LengthDelimited;
/** The longest id of an account. It is the only one whose length takes two bytes. */
const LENGTH_MAX = 128;
const LENGTH_MAX_BYTES = [0x80, 0x01];

type Gate = (bytes: Buffer) => Failure | null;

/** The gate for requests of the type `input`: what refuses one; null: nothing does. */
export function accountGate(
  { admission, overloadAnswer }: Pick<SharedContext, 'admission' | 'overloadAnswer'>,
  input: DescMessage,
): Gate {
  const namesAccount = input.fields.some(
    ({ name, number }) => name === 'account_id' && number === ACCOUNT_FIELD,
  );
  if (!namesAccount) return () => null;
  return (bytes) => {
    const accountId = readAccountId(bytes);
    if (accountId === null || admission.admitsAccount(accountId)) return null;
    return overloadAnswer.failure;
  };
}

/** The account at the beginning of a request; null if it begins otherwise. */
function readAccountId(bytes: Buffer): string | null {
  const [tag, length = 0, next] = bytes;
  if (tag !== ACCOUNT_TAG) return null;
  if (length < LENGTH_MAX) return bytes.toString('latin1', 2, 2 + length);
  const [low, high] = LENGTH_MAX_BYTES;
  return length === low && next === high ? bytes.toString('latin1', 3, 3 + LENGTH_MAX) : null;
}
