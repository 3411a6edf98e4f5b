/** The fields of an object as a map, such as `mapOf({ team: 'a' })` for the labels of a request. */
export const mapOf = <Value>(object: Readonly<Record<string, Value>>): Map<string, Value> =>
  new Map(Object.entries(object));
