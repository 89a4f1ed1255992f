/** Standard output or error of a command. */
export class Paper {
  /** What was written to it. */
  text = '';
  isTTY = false;
  fail: (error: Error) => void = () => {};

  write(text: string): void {
    this.text += text;
  }

  on(_event: 'error', listener: (error: Error) => void): void {
    this.fail = listener;
  }
}
