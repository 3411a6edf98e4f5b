/** Preloaded into a service by a test: writes each address that the process connects to on stderr. */
import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

const isSocket = (value: unknown): value is { readonly socket: Socket } =>
  typeof value === 'object' && value !== null && 'socket' in value;

subscribe('net.client.socket', (message) => {
  if (!isSocket(message)) return;
  const { socket } = message;
  const report = () =>
    process.stderr.write(`connects to ${socket.remoteAddress}:${socket.remotePort}\n`);
  socket.on('connect', report).on('error', ({ message: reason }) => {
    process.stderr.write(`connects to ${reason}\n`);
  });
});
