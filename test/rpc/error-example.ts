/** An error as docs/errors.md shows it: the google.rpc.Status that a client decodes, as JSON. */
import { status } from '@grpc/grpc-js';
import { InsufficientCredits } from '../../src/gen/billing/v1/error_details.ts';
import type { Any } from '../../src/gen/google/protobuf/any.ts';
import { BadRequest, ErrorInfo, RetryInfo } from '../../src/gen/google/rpc/error_details.ts';
import type { RpcError } from '../rpc-error.ts';

const TYPES: Readonly<
  Record<
    string,
    { readonly decode: (bytes: Uint8Array) => object; readonly toJSON: (message: never) => unknown }
  >
> = {
  'google.rpc.ErrorInfo': ErrorInfo,
  'google.rpc.BadRequest': BadRequest,
  'google.rpc.RetryInfo': RetryInfo,
  'billing.v1.InsufficientCredits': InsufficientCredits,
};

/** What differs from run to run, and what an example has in its place. */
const REPLACED: readonly [RegExp, string][] = [
  [
    /[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g,
    '01900000-0000-7000-8000-000000000000',
  ],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '2026-11-28T20:30:00.000Z'],
  // The running month; 2020-01 is what the example asks for.
  [/\b20(?!20)\d\d-(0[1-9]|1[0-2])\b(?!-)/g, '2026-11'],
  [/\b[0-9a-f]{32}\b/g, '0af7651916cd43dd8448eb211c80319c'],
];

export function errorExample({ code, message, details }: RpcError): string {
  if (details.length === 0)
    return 'The caller has gone: what it sees comes from its own client, and has no details.';
  const shown = { code: `${code} ${status[code]}`, message, details: details.map(detail) };
  let json = JSON.stringify(shown, null, 2);
  for (const [pattern, replacement] of REPLACED) json = json.replaceAll(pattern, replacement);
  return `\`\`\`json\n${json}\n\`\`\``;
}

function detail({ typeUrl, value }: Any): object {
  const name = typeUrl.slice(typeUrl.indexOf('/') + 1);
  const type = TYPES[name];
  if (!type) throw new Error(`${name} is no detail of an error`);
  return { '@type': name, ...(type.toJSON(type.decode(value) as never) as object) };
}
