/** Addresses that no other machine can reach. */
import { BlockList, isIP } from 'node:net';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');

/** Names but "localhost" are none, whatever they resolve to at present. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' ||
  (isIP(host) !== 0 && LOOPBACK.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4'));
