/** Preloaded into a service by a test: says on stderr where the process connects to. */
import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

const isSocket = (value: unknown): value is { readonly socket: Socket } =>
  typeof value === 'object' && value !== null && 'socket' in value;

subscribe('net.client.socket', (message) => {
  if (!isSocket(message)) return;
  const { socket } = message;
  const say = () =>
    process.stderr.write(`connects to ${socket.remoteAddress}:${socket.remotePort}\n`);
  socket.on('connect', say).on('error', ({ message: why }) => {
    process.stderr.write(`connects to ${why}\n`);
  });
});
