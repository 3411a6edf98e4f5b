/** `npm run new-key -- FILE ACCOUNT` adds a key of an account to a file of keys, and shows it this once. */
import { existsSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { hashOf, newKey } from './keys.ts';

const [file, account] = process.argv.slice(2);
if (!file || !account || !/^[!-~]{1,128}$/.test(account)) {
  console.error('usage: npm run new-key -- FILE ACCOUNT');
  process.exit(2);
}
const rows = existsSync(file) ? JSON.parse(await readFile(file, 'utf8')) : [];
const key = newKey();
const added = [...rows, { sha256: hashOf(key), account }];
// A reader sees the whole file, the old or the new one.
await writeFile(`${file}.new`, `${JSON.stringify(added, null, 2)}\n`, { mode: 0o600 });
await rename(`${file}.new`, file);
console.log(key);
