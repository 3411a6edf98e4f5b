/** The cookie that carries the id of a session. Scripts cannot read it, and other sites cannot send it. */
import type { IncomingMessage } from 'node:http';

const PATH = '/console/';

/** Replicas on one host share its cookies, whatever their ports. */
const nameFor = ({ socket }: IncomingMessage): string => `scrip-console-${socket.localPort}`;

/** Null: the request has none. */
export function sessionIdOf(request: IncomingMessage): string | null {
  const name = nameFor(request);
  for (const cookie of (request.headers.cookie ?? '').split(';')) {
    const [key, value] = cookie.trim().split('=', 2);
    if (key === name && value) return value;
  }
  return null;
}

/** `seconds` 0: the browser forgets it. */
export function sessionCookie(request: IncomingMessage, id: string, seconds: number): string {
  // The origin tells whether a proxy has TLS in front of this port.
  const isSecure = request.headers.origin?.startsWith('https:') === true;
  const attributes = `Path=${PATH}; Max-Age=${seconds}; HttpOnly; SameSite=Strict`;
  return `${nameFor(request)}=${id}; ${attributes}${isSecure ? '; Secure' : ''}`;
}
