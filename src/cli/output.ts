/** Where a command writes: the part of process.stdout and process.stderr that is used. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  /** Of the terminal. */
  readonly columns?: number;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** What fits into a line of a table: a file and a pipe have room for everything. */
export function lineWidth({ isTTY, columns }: Pick<Output, 'isTTY' | 'columns'>): number {
  return isTTY && columns !== undefined && columns > 0 ? columns : Number.POSITIVE_INFINITY;
}
