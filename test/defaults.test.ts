/** docs/defaults.md says of every field of every request what it means unset, 0 or empty. */
import { readFileSync } from 'node:fs';
import {
  createFileRegistry,
  type DescField,
  type DescMessage,
  fromBinary,
  ScalarType,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';

const root = new URL('..', import.meta.url).pathname;
const registry = createFileRegistry(
  fromBinary(FileDescriptorSetSchema, readFileSync(`${root}src/gen/descriptor.binpb`)),
);

/** The messages of billing.v1 that requests are made of. */
function requestMessages(): ReadonlySet<DescMessage> {
  const messages = new Set<DescMessage>();
  const add = (message: DescMessage) => {
    if (messages.has(message) || message.file.proto.package !== 'billing.v1') return;
    messages.add(message);
    for (const { message: nested } of message.fields) if (nested) add(nested);
  };
  for (const type of registry)
    if (type.kind === 'service' && type.file.proto.package === 'billing.v1')
      for (const { input } of type.methods) add(input);
  return messages;
}

const isText = (field: DescField): boolean =>
  field.fieldKind === 'scalar' && field.scalar === ScalarType.STRING;

/** Fields that mean the same in every request are listed by their name alone. */
const EVERYWHERE = new Set(['not_after', 'labels', 'label_keys', 'page_size']);

const documentedName = (message: DescMessage, field: DescField): string =>
  EVERYWHERE.has(field.name) && message.name !== 'LabelSet' && field.message?.name !== 'LabelSet'
    ? field.name
    : `${message.name}.${field.name}`;

test('every number, flag, choice, list, map and message of a request is listed, and nothing else', () => {
  const expected = new Set<string>();
  for (const message of requestMessages())
    for (const field of message.fields)
      if (!isText(field) && message.name !== 'Mutation')
        expected.add(documentedName(message, field));
  const rows = readFileSync(`${root}docs/defaults.md`, 'utf8').matchAll(/^\| `([\w.]+)` \|/gm);
  const listed = [...rows].map(([, name]) => name);
  expect(listed.toSorted()).toEqual([...expected].toSorted());
});
