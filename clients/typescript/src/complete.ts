/** Completes a request, and refuses what the message does not have: a misspelled `requestId` must not be lost. */
import type { DeepPartial, MessageType } from './method.ts';

/** Throws a TypeError, RangeError or SyntaxError. It names the field, but where no value of the type can be made of a text. */
export function complete<Message>(
  type: MessageType<Message>,
  partial: DeepPartial<Message>,
): Message {
  checkNumbers(partial, '');
  const message = type.fromPartial(partial);
  checkKnown(partial, message, '');
  return message;
}

/** No message has numbers other than integers. */
function checkNumbers(given: unknown, path: string) {
  if (typeof given === 'number' && !Number.isSafeInteger(given))
    throw new RangeError(`${path}: ${given} is not an integer that a number can hold exactly`);
  if (!isNested(given)) return;
  for (const [key, value] of Object.entries(given)) checkNumbers(value, within(path, key));
}

function checkKnown(given: unknown, taken: unknown, path: string) {
  if (typeof taken === 'bigint') checkInteger(given, path);
  if (!isNested(given)) return;
  if (!isNested(taken)) throw new TypeError(`${path}: the message has nothing like this`);
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === null) continue;
    const name = within(path, key);
    if (!Object.hasOwn(taken, key)) throw new TypeError(`${name}: the message has no such field`);
    checkKnown(value, taken[key], name);
  }
}

/** Of an empty text, `true` and a list with a number BigInt makes an integer, too. */
function checkInteger(given: unknown, path: string) {
  if (typeof given === 'bigint' || typeof given === 'number') return;
  if (typeof given !== 'string' || !/^-?\d+$/.test(given))
    throw new TypeError(`${path}: an integer is a bigint, a number or a decimal text`);
}

const within = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`);

/** Messages, lists, maps and oneofs; not instants and bytes. */
const isNested = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' &&
  value !== null &&
  !(value instanceof Date) &&
  !ArrayBuffer.isView(value);
