/** The error of a command that was stopped in one of several cells, with the name of the cell. */
export function errorOfCell(error: unknown, cell: string): Error {
  const { message, code } = error as Error & { code?: string };
  return new Error(`cell ${cell}: ${message || code}`, { cause: error });
}
