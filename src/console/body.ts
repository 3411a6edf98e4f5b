/** Reads the JSON of a request. */
import type { IncomingMessage } from 'node:http';
import type { JsonObject } from '@bufbuild/protobuf';
import { ConsoleError } from './console-error.ts';

export const BODY_BYTES_MAX = 64 * 1024;

const CONTENT_TYPE = /^application\/json(; ?charset=utf-8)?$/i;

/** Rejects with a ConsoleError; the rest of the body is unread then. */
export async function readJson(request: IncomingMessage): Promise<JsonObject> {
  if (!CONTENT_TYPE.test(request.headers['content-type'] ?? ''))
    throw ConsoleError.own('CONSOLE_CONTENT_TYPE', 'the content type must be application/json');
  if (Number(request.headers['content-length'] ?? 0) > BODY_BYTES_MAX) throw tooLarge();
  return parse(await readAll(request));
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    // The connection is still needed, to say that the body is too large.
    for await (const part of request.iterator({ destroyOnReturn: false })) {
      size += part.length;
      if (size > BODY_BYTES_MAX) break;
      parts.push(part as Buffer);
    }
  } catch {
    throw ConsoleError.own('CONSOLE_JSON', 'the body was cut off');
  }
  if (size > BODY_BYTES_MAX) throw tooLarge();
  return Buffer.concat(parts);
}

const tooLarge = () =>
  ConsoleError.own('CONSOLE_BODY_TOO_LARGE', `the body may have ${BODY_BYTES_MAX} bytes at most`);

function parse(bytes: Buffer): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes), refuseLossy);
  } catch {
    const message =
      'the body is no JSON, or has a key __proto__, or a number beyond 2^53 that is no text';
    throw ConsoleError.own('CONSOLE_JSON', message);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as JsonObject;
  throw ConsoleError.own('CONSOLE_JSON', 'the body must be a JSON object');
}

/** What would mean something else without a word: a key that maps lose, and a number that is rounded. */
function refuseLossy(key: string, value: unknown): unknown {
  if (key === '__proto__') throw new Error(key);
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw new Error(key);
  return value;
}
