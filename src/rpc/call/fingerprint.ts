/**
 * The fingerprint of a request's content: SHA-256 of the message, its maps in one order. Protobuf
 * leaves out what is not set, so a field that a later version adds changes no older fingerprint.
 */
import type { Usage } from '../../gen/billing/v1/pricing.ts';
import { sha256 } from '../../sha256.ts';
import { type Codec, encode } from './encode.ts';

type WithMaps = {
  labels?: { readonly [key: string]: string } | { labels: { [key: string]: string } } | undefined;
  usages?: Usage[];
};

export function fingerprint<Message>(codec: Codec<Message>, message: Message): Uint8Array {
  return sha256(encode(codec, withSortedMaps(message)));
}

/** Clients send the entries of a map in any order, and another order on a retry. */
function withSortedMaps<Message>(message: Message): Message {
  const { labels, usages } = message as WithMaps;
  const sortedLabels = labels && sortedDeep(labels);
  const sortedUsages = usages?.map((usage) => ({
    ...usage,
    quantities: sorted(usage.quantities),
    attributes: sorted(usage.attributes),
  }));
  if (!sortedLabels && !sortedUsages) return message;
  return {
    ...message,
    ...(sortedLabels && { labels: sortedLabels }),
    ...(sortedUsages && { usages: sortedUsages }),
  };
}

/** Labels, or the LabelSet that wraps them. */
function sortedDeep(labels: NonNullable<WithMaps['labels']>) {
  return typeof labels['labels'] === 'object'
    ? { labels: sorted(labels['labels']) }
    : sorted(labels as Record<string, string>);
}

function sorted<Value>(map: Readonly<Record<string, Value>>): Record<string, Value> {
  const keys = Object.keys(map);
  if (keys.length < 2) return map;
  return Object.fromEntries(keys.sort().map((key) => [key, map[key] as Value]));
}
