/** The process: its environment and its signals. */
import { type ConnectOptions, connect } from '@scrip/client';
import { createEdge } from './edge.ts';
import { readKeys } from './keys.ts';

const {
  HOST = '127.0.0.1',
  PORT = '8081',
  KEYS_FILE = 'keys.json',
  SUCCESS_URL = 'http://localhost:3000/thanks',
  CANCEL_URL = 'http://localhost:3000/cart',
  TIMEOUT_MS = '5000',
} = process.env;

/** The same variables as those of the examples in other languages. */
function connectOptions(env: NodeJS.ProcessEnv): ConnectOptions {
  const address = env['SCRIP_ADDRESS'] ?? 'localhost:50051';
  const { SCRIP_CA_FILE: caFile, SCRIP_CERT_FILE: certificateFile, SCRIP_KEY_FILE: keyFile } = env;
  if (!caFile) return { address, caller: 'rest-edge' };
  if (!certificateFile || !keyFile) return { address, tls: { caFile } };
  return { address, tls: { caFile, certificateFile, keyFile } };
}

let keys = await readKeys(KEYS_FILE);
const scrip = connect(connectOptions(process.env));
const edge = createEdge({
  scrip,
  keys: () => keys,
  pages: { successUrl: SUCCESS_URL, cancelUrl: CANCEL_URL },
  timeoutMs: Number(TIMEOUT_MS),
  log: true,
});

process.on('SIGHUP', () => {
  readKeys(KEYS_FILE).then(
    (read) => {
      keys = read;
      edge.log.info({ keys: keys.size }, 'read the keys again');
    },
    (error) => edge.log.error(error, 'the keys stay as they were'),
  );
});

for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.once(signal, async () => {
    await edge.close();
    scrip.close();
  });

await edge.listen({ host: HOST, port: Number(PORT) });
