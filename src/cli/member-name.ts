/** The names of the members of generated enums. */

/** The name of a member, e.g. "COMMIT"; its number if this version does not know it. */
export const memberName = (members: Readonly<Record<string, number>>, member: number): string =>
  Object.keys(members).find((name) => members[name] === member) ?? String(member);
