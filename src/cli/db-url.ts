/** `db url`: where the embedded database of a running service is, for psql. */
import { requireConfig } from '../config.ts';
import { findEmbeddedUrl } from '../find-database.ts';
import { command, exitWith } from './command.ts';
import { notFound } from './service-call.ts';

export const dbUrl = command('url', {
  description:
    'Prints the URL of the embedded PostgreSQL in DATA_DIRECTORY, with its password, while a service runs on it: for psql ' +
    'and for DATABASE_URL of other commands. With a DATABASE_URL the service uses that one, and there is no other.',
  examples: ['', '| xargs psql'],
}).action(
  exitWith(async () => {
    const config = requireConfig(process.env);
    if (config.DATABASE_URL)
      throw notFound('the database is that of DATABASE_URL: none is embedded');
    const url = await findEmbeddedUrl(config);
    if (url === null)
      throw notFound(`no database runs in ${config.DATA_DIRECTORY}: npm start starts it`);
    process.stdout.write(`${url}\n`);
    return 0;
  }),
);
