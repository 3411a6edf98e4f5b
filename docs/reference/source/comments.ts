/** The comments of a proto file, as Markdown. */
import type { FileDescriptorProto } from '@bufbuild/protobuf/wkt';

export class Comments {
  readonly #byPath: ReadonlyMap<string, string>;

  constructor({ sourceCodeInfo }: FileDescriptorProto) {
    const locations = sourceCodeInfo?.location ?? [];
    this.#byPath = new Map(
      locations.map(({ path, leadingComments }) => [path.join('.'), toMarkdown(leadingComments)]),
    );
  }

  /** The comment of what is at a path of numbers, and a line break; empty if there is none. */
  at(path: readonly number[]): string {
    return this.#byPath.get(path.join('.')) ?? '';
  }
}

/** Comments are Markdown already, but for the space that each line begins with, and names between angle brackets. */
const toMarkdown = (comment: string): string => {
  const text = comment.replace(/^ /gm, '').trim();
  return text === '' ? '' : `${text}\n`;
};
