/** Instants are epoch milliseconds in the service, timestamptz(3) in the database. */

/** SQL of a timestamp as epoch milliseconds. date_part counts in float8; extract, in numeric, is slower. */
export const millis = (timestamp: string, name = timestamp): string =>
  `round(date_part('epoch', ${timestamp}) * 1000) as ${name}`;

/** SQL of the timestamp that a parameter gives as epoch milliseconds, e.g. `fromMillis('$1')`. */
export const fromMillis = (parameter: string): string =>
  `to_timestamp(${parameter}::float8 / 1000)`;
