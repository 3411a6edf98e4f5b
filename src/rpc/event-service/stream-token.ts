/**
 * The token that resumes StreamEvents: where a reader is in the events of every cell. It is opaque to readers. Its
 * first byte is the version of its format: 1 holds the position in the only cell; 2 holds, for each of several cells,
 * its name, the position and a mark of the event there, by which a restored database is told from the one that the
 * reader knew; 3 holds the epoch of each database as well, which operators change when they restore it.
 */
import type { FieldChecker } from '../call/field-checker.ts';

/** Where a reader is in the events of a cell. */
export type Place = {
  /** Of the event that was read last; 0: none. */
  readonly position: bigint;
  /** Of that event: see `markOf`. 0: not known. */
  readonly mark: number;
  /** Of the database at that time; 0: it had never been restored. */
  readonly epoch: number;
};

/** By the names of cells. A cell that is missing is read from its first event. */
export type Places = ReadonlyMap<string, Place>;

export const FIRST: Place = { position: 0n, mark: 0, epoch: 0 };

/** The last 32 bits of the event's id, which are random. */
export const markOf = (eventId: string): number => Number.parseInt(eventId.slice(-8), 16);

const ONE_CELL = 1;
const ONE_CELL_BYTES = 9;
const CELLS = 2;
const EPOCHS = 3;

/** `cells` are the names of all cells. */
export function encodeStreamToken(places: Places, cells: readonly string[]): string {
  const [only = ''] = cells;
  const hasEpochs = haveEpochs(places);
  if (cells.length === 1 && !hasEpochs) return encodePosition((places.get(only) ?? FIRST).position);
  return encodeCells(places, hasEpochs ? EPOCHS : CELLS);
}

const haveEpochs = (places: Places): boolean =>
  [...places.values()].some(({ epoch }) => epoch !== 0);

function encodePosition(position: bigint): string {
  const bytes = Buffer.alloc(ONE_CELL_BYTES);
  bytes[0] = ONE_CELL;
  bytes.writeBigInt64BE(position, 1);
  return bytes.toString('base64url');
}

/** Bytes of the numbers of a cell. */
const numbersOf = (version: number): number => (version === EPOCHS ? 16 : 12);

function encodeCells(places: Places, version: number): string {
  const parts = [...places].map(([name, { position, mark, epoch }]) => {
    const numbers = Buffer.alloc(numbersOf(version));
    numbers.writeBigInt64BE(position);
    numbers.writeUInt32BE(mark, 8);
    if (version === EPOCHS) numbers.writeUInt32BE(epoch, 12);
    return Buffer.concat([Buffer.from([name.length]), Buffer.from(name, 'latin1'), numbers]);
  });
  return Buffer.concat([Buffer.from([version]), ...parts]).toString('base64url');
}

/**
 * The places after which the stream begins; the first ones for an empty token. A token of the time when there was one
 * cell is of the first of `cells`.
 */
export function decodeStreamToken(
  field: string,
  token: string,
  check: FieldChecker,
  cells: readonly string[],
): Places {
  if (token === '') return new Map();
  const places = parse(Buffer.from(token, 'base64url'), token, cells);
  if (places) return places;
  check.addViolation(field, 'must be next_token of a message of StreamEvents');
  return new Map();
}

/** Encoding it again finds everything that decoding passes over: characters, padding. */
function parse(bytes: Buffer, token: string, cells: readonly string[]): Places | null {
  if (bytes[0] === ONE_CELL) {
    const position = bytes.length === ONE_CELL_BYTES ? bytes.readBigInt64BE(1) : -1n;
    if (position < 0n || encodePosition(position) !== token) return null;
    return new Map([[cells[0] as string, { position, mark: 0, epoch: 0 }]]);
  }
  const [version] = bytes;
  if (version !== CELLS && version !== EPOCHS) return null;
  const places = parseCells(bytes, version);
  const isOfVersion = places && haveEpochs(places) === (version === EPOCHS);
  return isOfVersion && encodeCells(places, version) === token ? places : null;
}

function parseCells(bytes: Buffer, version: number): Places | null {
  const places = new Map<string, Place>();
  for (let at = 1; at < bytes.length; ) {
    const end = at + 1 + (bytes[at] as number);
    if (end + numbersOf(version) > bytes.length) return null;
    const position = bytes.readBigInt64BE(end);
    if (position < 0n) return null;
    const name = bytes.toString('latin1', at + 1, end);
    const epoch = version === EPOCHS ? bytes.readUInt32BE(end + 12) : 0;
    places.set(name, { position, mark: bytes.readUInt32BE(end + 8), epoch });
    at = end + numbersOf(version);
  }
  return places;
}
