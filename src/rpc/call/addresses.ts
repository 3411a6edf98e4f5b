/** The addresses of a connection, as spans say them. They are read once for all its calls. */
import type { Http2Session, ServerHttp2Stream } from 'node:http2';
import type { AttributesOf } from '../../telemetry/spans.ts';

type Addresses = AttributesOf<'rpc'>;

const addressesOfSession = new WeakMap<Http2Session, Addresses>();

export function addressesOf({ session }: Pick<ServerHttp2Stream, 'session'>): Addresses {
  if (!session) return {};
  let addresses = addressesOfSession.get(session);
  if (!addresses) {
    const { localAddress, localPort, remoteAddress, remotePort } = session.socket;
    addresses = {
      'server.address': localAddress,
      'server.port': localPort,
      'network.peer.address': remoteAddress,
      'network.peer.port': remotePort,
    };
    addressesOfSession.set(session, addresses);
  }
  return addresses;
}
