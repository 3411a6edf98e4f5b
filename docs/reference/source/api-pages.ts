/** The reference of the API, made of the protos: a page for each file, and their index. */
import { readFileSync } from 'node:fs';
import { fromBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  type FileDescriptorProto,
  FileDescriptorSetSchema,
  type MethodDescriptorProto,
  MethodOptions_IdempotencyLevel,
  type ServiceDescriptorProto,
} from '@bufbuild/protobuf/wkt';
import { Comments } from './comments.ts';

const DESCRIPTOR = new URL('../../../src/gen/descriptor.binpb', import.meta.url);
const PACKAGE = '.billing.v1.';
/** Numbers of fields in descriptor.proto: the paths of comments consist of them. */
const MESSAGES = 4;
const ENUMS = 5;
const SERVICES = 6;
const [FIELDS, NESTED, NESTED_ENUMS] = [2, 3, 4];
const [METHODS, VALUES] = [2, 2];

const GENERATED = '<!-- Generated from the protos by `npm run reference`. -->\n';

/** The pages by their names. */
export function apiPages(): ReadonlyMap<string, string> {
  const { file } = fromBinary(FileDescriptorSetSchema, readFileSync(DESCRIPTOR));
  const own = file.filter((each) => each.package === 'billing.v1');
  const pageOf = new Map(
    own.flatMap((each) => namesIn(each).map((name) => [name, pageName(each)])),
  );
  const pages = own.map((each): [string, string] => [
    pageName(each),
    new Page(each, pageOf).text(),
  ]);
  return new Map([['api.md', index(own)], ...pages]);
}

/** `billing/v1/ledger.proto`: `api-ledger.md`. */
const pageName = ({ name }: FileDescriptorProto): string =>
  `api-${name.replace(/^.*\/|\.proto$/g, '').replaceAll('_', '-')}.md`;

/** The full names of all messages and enums of a file. */
function namesIn({ messageType, enumType }: FileDescriptorProto): readonly string[] {
  const inMessage = (message: DescriptorProto, at: string): readonly string[] => {
    const name = `${at}${message.name}`;
    return [
      name,
      ...message.enumType.map((each) => `${name}.${each.name}`),
      ...message.nestedType.flatMap((each) => inMessage(each, `${name}.`)),
    ];
  };
  return [
    ...messageType.flatMap((each) => inMessage(each, PACKAGE)),
    ...enumType.map((each) => `${PACKAGE}${each.name}`),
  ];
}

function index(files: readonly FileDescriptorProto[]): string {
  const rows = files.flatMap((file) =>
    file.service.flatMap((service, place) => {
      const comments = new Comments(file);
      const methods = service.method.map(({ name }, number) => {
        const comment = comments.at([SERVICES, place, METHODS, number]);
        return `| [${name}](${pageName(file)}#${name.toLowerCase()}) | ${firstSentence(comment)} |`;
      });
      return [
        `\n## ${service.name}\n`,
        `${firstSentence(comments.at([SERVICES, place]))}\n`,
        '| call | what it does |\n| --- | --- |',
        ...methods,
      ];
    }),
  );
  const messages = files
    .filter(({ service }) => service.length === 0)
    .map((file) => `- [\`${file.name}\`](${pageName(file)}): ${headline(file)}`);
  return `${GENERATED}
# API

Package \`billing.v1\`, in [\`proto/billing/v1\`](../../proto/billing/v1). [Clients](../README.md#clients) use it from a language,
[errors](../errors.md) lists what a call can fail with.
${rows.join('\n')}

## Messages that several calls have

${messages.join('\n')}
`;
}

/** What stands before the package of a file. */
const headline = (file: FileDescriptorProto): string =>
  new Comments(file).at([2]).replaceAll('\n', ' ').trim();

/** The first sentence of a comment, on one line. */
function firstSentence(comment: string): string {
  const [paragraph = ''] = comment.replaceAll(/(?<!\n)\n(?!\n)/g, ' ').split('\n');
  return /^.*?\.(?= [A-Z]|$)/.exec(paragraph.trim())?.[0] ?? paragraph.trim();
}

class Page {
  readonly #file: FileDescriptorProto;
  readonly #pageOf: ReadonlyMap<string, string>;
  readonly #comments: Comments;
  /** Messages that were written already, below the call that they belong to. */
  readonly #written = new Set<string>();

  constructor(file: FileDescriptorProto, pageOf: ReadonlyMap<string, string>) {
    this.#file = file;
    this.#pageOf = pageOf;
    this.#comments = new Comments(file);
  }

  text(): string {
    const { service, messageType, enumType } = this.#file;
    const services = service.map((each, place) => this.#service(each, place));
    const rest = messageType.flatMap((message, place) =>
      this.#written.has(message.name) ? [] : [this.#message(message, [MESSAGES, place], '##')],
    );
    const enums = enumType.map((each, place) => this.#enum(each, [ENUMS, place], '##', each.name));
    const title = service.length > 0 ? [] : [`# ${this.#file.name}\n\n${headline(this.#file)}\n`];
    const text = [...title, ...services, ...rest, ...enums].join('\n');
    return `${GENERATED}\n${text.replace(/\n{3,}/g, '\n\n').trim()}\n`;
  }

  #service({ name, method }: ServiceDescriptorProto, place: number): string {
    const path = [SERVICES, place];
    const methods = method.map((each, number) => this.#method(each, [...path, METHODS, number]));
    return [`# ${name}\n`, this.#comments.at(path), ...methods].join('\n');
  }

  #method(method: MethodDescriptorProto, path: readonly number[]): string {
    const { name, inputType, outputType, serverStreaming } = method;
    const response = `${serverStreaming ? 'stream of ' : ''}${shortName(outputType)}`;
    const effect =
      method.options?.idempotencyLevel === MethodOptions_IdempotencyLevel.IDEMPOTENT
        ? 'A mutation: safe to repeat with the same request id.'
        : 'A read: it changes nothing.';
    const messages = [inputType, outputType].map((type) => this.#messageOf(type));
    const signature = `\`${name}(${shortName(inputType)})\` → \`${response}\`. ${effect}\n`;
    return [`\n## ${name}\n`, signature, this.#comments.at(path), ...messages].join('\n');
  }

  /** The message of a call of this file, if it was not written yet. */
  #messageOf(type: string): string {
    const place = this.#file.messageType.findIndex(({ name }) => `${PACKAGE}${name}` === type);
    const message = this.#file.messageType[place];
    if (!message || this.#written.has(message.name)) return '';
    return this.#message(message, [MESSAGES, place], '###');
  }

  #message(message: DescriptorProto, path: readonly number[], level: string, at = ''): string {
    const name = `${at}${message.name}`;
    this.#written.add(name);
    const fields = message.field.map((field, place) =>
      this.#field(message, field, [...path, FIELDS, place]),
    );
    const nested = message.nestedType.flatMap((each, place) =>
      each.options?.mapEntry
        ? []
        : [this.#message(each, [...path, NESTED, place], `${level}#`, `${name}.`)],
    );
    const enums = message.enumType.map((each, place) =>
      this.#enum(each, [...path, NESTED_ENUMS, place], `${level}#`, `${name}.${each.name}`),
    );
    const body = fields.length > 0 ? [...fields, ''] : [];
    return [`\n${level} ${name}\n`, this.#comments.at(path), ...body, ...nested, ...enums].join(
      '\n',
    );
  }

  #field(message: DescriptorProto, field: FieldDescriptorProto, path: readonly number[]): string {
    const { name, number, oneofIndex, proto3Optional } = field;
    const oneof = message.oneofDecl[oneofIndex];
    const isChoice = Object.hasOwn(field, 'oneofIndex') && oneof && !proto3Optional;
    const type = `${proto3Optional ? 'optional ' : ''}${this.#typeOf(message, field)}`;
    const choice = isChoice ? ` One of \`${oneof.name}\`.` : '';
    const text = this.#comments.at(path).trim().replaceAll('\n', '\n  ');
    return `- **\`${name}\`** ${type} = ${number}.${choice} ${text}`.replace(/ +$/gm, '');
  }

  #typeOf(message: DescriptorProto, field: FieldDescriptorProto): string {
    const entry = message.nestedType.find(
      ({ name, options }) => options?.mapEntry && field.typeName.endsWith(`.${name}`),
    );
    if (entry) {
      const [key, value] = entry.field.map((each) => this.#singleType(each));
      return `map of ${key} to ${value}`;
    }
    const isList = field.label === FieldDescriptorProto_Label.REPEATED;
    return `${isList ? 'list of ' : ''}${this.#singleType(field)}`;
  }

  #singleType({ type, typeName }: FieldDescriptorProto): string {
    if (typeName === '') return FieldDescriptorProto_Type[type].toLowerCase();
    const page = this.#pageOf.get(typeName);
    if (page === undefined) return typeName.slice(1);
    const anchor = shortName(typeName).toLowerCase().replaceAll('.', '');
    return `[${shortName(typeName)}](${page === pageName(this.#file) ? '' : page}#${anchor})`;
  }

  #enum(
    { value }: EnumDescriptorProto,
    path: readonly number[],
    level: string,
    name: string,
  ): string {
    const values = value.map(({ name: each, number }, place) => {
      const text = this.#comments
        .at([...path, VALUES, place])
        .trim()
        .replaceAll('\n', '\n  ');
      return `- **\`${each}\`** = ${number}. ${text}`;
    });
    return [`\n${level} ${name}\n`, this.#comments.at(path), ...values, ''].join('\n');
  }
}

const shortName = (type: string): string =>
  type.startsWith(PACKAGE) ? type.slice(PACKAGE.length) : type.slice(1);
