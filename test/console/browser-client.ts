/** What the page in a browser does: requests with its headers and its cookie, over a socket of its own. */
import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:http';
import type { TestService } from '../service.ts';

export type Answer = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
};

export type Sent = {
  readonly method?: string;
  readonly path: string;
  /** Undefined leaves a header out that the page would send. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly body?: string | Buffer;
};

/** Sends exactly this; `fetch` would forbid some of the headers, and change the path. */
export async function send(port: number, { method = 'GET', path, headers = {}, body }: Sent) {
  const given = Object.entries(headers).filter(([, value]) => value !== undefined);
  const sent = request({ host: '127.0.0.1', port, method, path, agent: false, setHost: false });
  for (const [name, value] of given) sent.setHeader(name, value as string);
  sent.end(body);
  const [response] = await once(sent, 'response');
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  return { status: response.statusCode, headers: response.headers, text } as Answer;
}

/** biome-ignore lint/suspicious/noExplicitAny: tests read the JSON as the page does. */
type Json = any;

export class Browser {
  readonly port: number;
  readonly host: string;
  cookie: string | null = null;

  constructor({ service }: Pick<TestService, 'service'>) {
    this.port = service.adminPort as number;
    this.host = `localhost:${this.port}`;
  }

  /** With the headers of the page, but for those in `sent`. */
  async send(sent: Sent): Promise<Answer> {
    const hasBody = sent.body !== undefined;
    const unsafe = sent.method !== undefined && sent.method !== 'GET';
    const answer = await send(this.port, {
      ...sent,
      headers: {
        host: this.host,
        'x-scrip-console': '1',
        'sec-fetch-site': 'same-origin',
        ...(unsafe && { origin: `http://${this.host}` }),
        ...(hasBody && { 'content-type': 'application/json' }),
        ...(this.cookie && { cookie: this.cookie }),
        ...sent.headers,
      },
    });
    for (const cookie of answer.headers['set-cookie'] ?? []) this.#keep(cookie);
    return answer;
  }

  async session(): Promise<Json> {
    return JSON.parse((await this.send({ path: '/console/api/session' })).text);
  }

  async signIn(token: string): Promise<Answer> {
    const body = JSON.stringify({ token });
    return await this.send({ method: 'POST', path: '/console/api/session', body });
  }

  /** `method` is such as "BillingService/GetBalance". */
  async rpc(method: string, request: object, headers: Sent['headers'] = {}, query = '') {
    const path = `/console/api/rpc/billing.v1.${method}${query}`;
    const body = JSON.stringify(request);
    const { status, text } = await this.send({ method: 'POST', path, headers, body });
    return { status, json: JSON.parse(text) as Json };
  }

  #keep(cookie: string) {
    const [pair = ''] = cookie.split(';');
    this.cookie = pair.endsWith('=') ? null : pair;
  }
}
