/** A name server for one name, as that of a cluster answers for a headless service: an address of each replica. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const HEADER_BYTES = 12;
/** A response to a query that was asked recursively, without an error. */
const RESPONSE = 0x8180;
const A = 1;
const IN = 1;

export class NameServer {
  readonly #socket = createSocket('udp4');
  #addresses: readonly string[] = [];
  /** How often addresses were asked for. */
  queries = 0;

  /** Resolves to what goes before a name that is to be asked for here: "dns://127.0.0.1:…/". */
  async open(): Promise<string> {
    this.#socket.on('message', (query, { port, address }) => {
      this.#socket.send(this.#answer(query), port, address);
    });
    this.#socket.bind(0, '127.0.0.1');
    await once(this.#socket, 'listening');
    return `dns://127.0.0.1:${this.#socket.address().port}/`;
  }

  /** IPv4 addresses that the name has from now on. */
  set addresses(addresses: readonly string[]) {
    this.#addresses = addresses;
  }

  #answer(query: Buffer): Buffer {
    // One question: labels up to an empty one, the type and the class.
    const end = query.indexOf(0, HEADER_BYTES) + 5;
    const question = query.subarray(HEADER_BYTES, end);
    const addresses = question.readUInt16BE(question.length - 4) === A ? this.#addresses : [];
    if (addresses.length > 0) this.queries++;
    const header = Buffer.alloc(HEADER_BYTES);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(RESPONSE, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(addresses.length, 6);
    return Buffer.concat([header, question, ...addresses.map(record)]);
  }

  close() {
    this.#socket.close();
  }
}

/** An address of the name in the question, for a second. */
function record(address: string): Buffer {
  const fields = Buffer.alloc(12);
  fields.writeUInt16BE(0xc000 + HEADER_BYTES, 0);
  fields.writeUInt16BE(A, 2);
  fields.writeUInt16BE(IN, 4);
  fields.writeUInt32BE(1, 6);
  fields.writeUInt16BE(4, 10);
  return Buffer.concat([fields, Buffer.from(address.split('.').map(Number))]);
}
