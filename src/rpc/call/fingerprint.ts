/**
 * The fingerprint of a request: half of the SHA-256 of the encoded message with the keys of its maps in order, and
 * without what does not change what is asked for, such as not_after. Protobuf leaves out fields that are not
 * set, so a field that a later version of the proto adds does not change the fingerprints of older requests.
 */
import type { Usage, Usages } from '../../gen/billing/v1/pricing.ts';
import { sha256 } from '../../sha256.ts';
import { type Codec, encodeMessage } from './codec.ts';

/** The fields of requests that are maps or hold some, and those that are not content. */
type Fields = {
  labels?: Labels | LabelSet | undefined;
  usages?: Usages | undefined;
  notAfter?: Date | undefined;
  /** Of ImportAccount: the name of a file, and whether anything is written. */
  file?: string;
  validateOnly?: boolean;
};
type Labels = Map<string, string>;
type LabelSet = { readonly labels: Labels };

/** It is compared with one other, of the same request id: 128 bits tell them apart. */
const FINGERPRINT_BYTES = 16;

export function fingerprint<Message>(codec: Codec<Message>, message: Message): Uint8Array {
  return sha256(encodeMessage(codec, toContent(message))).subarray(0, FINGERPRINT_BYTES);
}

/** Clients send the entries of a map in any order, and in another order when they retry. */
function toContent<Message>(message: Message): Message {
  const { labels, usages, notAfter, file, validateOnly } = message as Fields;
  if (!labels && !usages && !notAfter && !file && !validateOnly) return message;
  return {
    ...message,
    ...(labels && { labels: sortLabels(labels) }),
    ...(usages && { usages: { items: usages.items.map(sortMaps) } }),
    notAfter: undefined,
    ...(file && { file: '' }),
    ...(validateOnly && { validateOnly: false }),
  };
}

const sortMaps = (usage: Usage): Usage => ({
  ...usage,
  quantities: sortKeys(usage.quantities),
  attributes: sortKeys(usage.attributes),
});

const sortLabels = (labels: Labels | LabelSet): Labels | LabelSet =>
  'labels' in labels ? { labels: sortKeys(labels.labels) } : sortKeys(labels);

function sortKeys<Value>(map: Map<string, Value>): Map<string, Value> {
  if (map.size < 2) return map;
  return new Map([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
}
