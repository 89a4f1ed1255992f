/** Where a command writes: the part of process.stdout and process.stderr that is used. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  on(event: 'error', listener: (error: Error) => void): unknown;
}
