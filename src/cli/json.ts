/** Messages as JSON: integers of 64 bits and instants as text, bytes in hexadecimal, as grpcurl and jq like them. */
import { visibleJson } from '../visible-text.ts';

export const toJson = (value: unknown, indent?: number): string =>
  visibleJson(JSON.stringify(plain(value), null, indent));

/** What generated code knows of a message. */
type Codec<Message> = { toJSON(message: Message): unknown };

/** A message for `toJson`, with its enums by name. */
export const named = <Message>(codec: Codec<Message>, message: Message | undefined): unknown =>
  message === undefined ? undefined : withNames(plain(message), codec.toJSON(message));

/** The generated JSON has names, but leaves out what is 0, false or empty: scripts like fields that are always there. */
function withNames(value: unknown, generated: unknown): unknown {
  if (typeof value === 'number') return typeof generated === 'string' ? generated : value;
  if (typeof value !== 'object' || value === null) return value;
  const names = (generated ?? {}) as Readonly<Record<string, unknown>>;
  if (Array.isArray(value)) return value.map((one, index) => withNames(one, names[index]));
  return Object.fromEntries(
    Object.entries(value).map(([key, field]) => [key, withNames(field, names[key])]),
  );
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (value instanceof Map) return Object.fromEntries([...value].map(([k, v]) => [k, plain(v)]));
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const { $case, value: chosen } = value as { readonly $case?: unknown; readonly value?: unknown };
  // Of a oneof: the field that is set.
  if (typeof $case === 'string') return { [$case]: plain(chosen) };
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, plain(field)]));
}
