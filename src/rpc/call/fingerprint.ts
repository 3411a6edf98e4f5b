/**
 * The fingerprint of a request: SHA-256 of the encoded message with the keys of its maps in order.
 * Protobuf leaves out fields that are not set, so a field that a later version of the proto adds does
 * not change the fingerprints of older requests.
 */
import type { Usage } from '../../gen/billing/v1/pricing.ts';
import { sha256 } from '../../sha256.ts';
import type { Codec } from './codec.ts';

/** The fields of requests that are maps or hold some. */
type WithMaps = {
  labels?: Labels | LabelSet | undefined;
  usages?: Usage[];
};
type Labels = { readonly [key: string]: string };
type LabelSet = { readonly labels: Labels };

export function fingerprint<Message>(codec: Codec<Message>, message: Message): Uint8Array {
  return sha256(codec.encode(withSortedMaps(message)).finish());
}

/** Clients send the entries of a map in any order, and in another order when they retry. */
function withSortedMaps<Message>(message: Message): Message {
  const { labels, usages } = message as WithMaps;
  const sortedLabels = labels && sortLabels(labels);
  const sortedUsages = usages?.map((usage) => ({
    ...usage,
    quantities: sortKeys(usage.quantities),
    attributes: sortKeys(usage.attributes),
  }));
  if (!sortedLabels && !sortedUsages) return message;
  return {
    ...message,
    ...(sortedLabels && { labels: sortedLabels }),
    ...(sortedUsages && { usages: sortedUsages }),
  };
}

function sortLabels(labels: Labels | LabelSet): Labels | LabelSet {
  return isLabelSet(labels) ? { labels: sortKeys(labels.labels) } : sortKeys(labels);
}

const isLabelSet = (labels: Labels | LabelSet): labels is LabelSet =>
  typeof labels['labels'] === 'object';

function sortKeys<Value>(map: Readonly<Record<string, Value>>): Record<string, Value> {
  const keys = Object.keys(map);
  if (keys.length < 2) return map;
  return Object.fromEntries(keys.sort().map((key) => [key, map[key] as Value]));
}
