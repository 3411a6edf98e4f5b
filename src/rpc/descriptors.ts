/** The services that the server offers, and their messages, as buf built them from the protos. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFileRegistry, type FileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

/** In a sandbox with its service, too. */
export function readDescriptors(isSandbox: boolean): FileRegistry {
  const names = ['descriptor.binpb', ...(isSandbox ? ['sandbox.binpb'] : [])];
  const registries = names.map((name) => {
    const bytes = readFileSync(join(import.meta.dirname, '../gen', name));
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
  });
  return createFileRegistry(...registries);
}
