/**
 * The failures of pricing a usage. Each names the field by its path in the request. Text from the caller is
 * shortened, because a failure is sent in a trailer of limited size.
 */
import { Failure, type Reason } from '../failure.ts';
import { suggestion } from '../nearest-name.ts';
import {
  type Attribute,
  MAX_CREDITS,
  type Operation,
  type Quantity,
  type RateCard,
} from './plan.ts';

const SHOWN_MAX = 64;

/** Quotes text from the caller, shortened. */
function quote(sent: string): string {
  return JSON.stringify(sent.length <= SHOWN_MAX ? sent : `${sent.slice(0, SHOWN_MAX)}…`);
}

function failure(
  reason: Reason,
  field: string,
  description: string,
  metadata: Readonly<Record<string, string>> = {},
): Failure {
  const violations = [{ field, description }];
  return new Failure(reason, `${field}: ${description}`, { ...metadata, field }, violations);
}

export const unknownOperation = (rateCard: RateCard, sent: string, path: string): Failure =>
  unknownOperationAt(rateCard, sent, `${path}.operation`);

/** `field` is the path of the operation's name. */
export function unknownOperationAt({ operations }: RateCard, sent: string, field: string): Failure {
  const operation = sent.slice(0, SHOWN_MAX);
  const { text, metadata } = suggestion(operation, operations.keys());
  const description = `the rate card has no operation ${quote(sent)}${text}`;
  return failure('UNKNOWN_OPERATION', field, description, { operation, ...metadata });
}

export function countOutOfRange(path: string): Failure {
  return failure('INVALID_FIELD', `${path}.count`, `must be from 1 to ${MAX_CREDITS}`);
}

export function undeclaredInput(
  kind: 'quantities' | 'attributes',
  name: string,
  { operation, [kind]: declared }: Operation,
  path: string,
): Failure {
  const known = declared.size === 0 ? 'none' : [...declared.keys()].join(', ');
  const description = `${operation} has no such input; it has ${known}`;
  return failure('INVALID_FIELD', `${path}.${kind}[${quote(name)}]`, description, { operation });
}

export function missingQuantity(
  { operation }: Operation,
  quantity: Quantity,
  path: string,
): Failure {
  const field = `${path}.quantities["${quantity.name}"]`;
  const description = `${operation} needs this quantity, in units of ${quantity.unit}`;
  const metadata = { operation, quantity: quantity.name };
  return failure('MISSING_QUANTITY', field, description, metadata);
}

export function quantityOutOfRange(
  { operation }: Operation,
  { name, min, max }: Quantity,
  path: string,
): Failure {
  const allowed = `${min}..${max}`;
  const field = `${path}.quantities["${name}"]`;
  const description = `must be from ${min} to ${max}`;
  return failure('QUANTITY_OUT_OF_RANGE', field, description, {
    operation,
    quantity: name,
    allowed,
  });
}

export function missingAttribute(
  { operation }: Operation,
  { name }: Attribute,
  path: string,
): Failure {
  const description = `${operation} needs this attribute`;
  return failure('INVALID_FIELD', `${path}.attributes["${name}"]`, description, { operation });
}

export function valueRefused(
  { operation }: Operation,
  name: string,
  sent: string,
  values: Iterable<string>,
  path: string,
): Failure {
  const allowed = [...values].join(', ');
  const description = `${quote(sent)} has no price; priced are ${allowed}`;
  const metadata = { operation, allowed };
  return failure('INVALID_FIELD', `${path}.attributes["${name}"]`, description, metadata);
}

/**
 * A CEL component gives no credits for these inputs. This is rare, because the expression was tried when
 * its plan file was loaded. The same inputs will fail again.
 */
export function noPrice(
  { operation }: Operation,
  label: string,
  why: string,
  path: string,
): Failure {
  const description = `the rate card's ${label} gives no credits for these inputs: ${why}`;
  return failure('INVALID_FIELD', `${path}.operation`, description, { operation });
}

/** The price is above the largest int64. */
export function tooManyCredits(field: string): Failure {
  return failure('INVALID_FIELD', field, `comes to more than ${MAX_CREDITS} credits`);
}
