/** Bytes as `hexdump -C` shows them (hexdump(1)): lines that repeat the one before are a `*`, the last one has the length. */

const WIDTH = 16;

export function hexDump(bytes: Buffer): string[] {
  const lines: string[] = [];
  let before: Buffer | null = null;
  let isRepeated = false;
  for (let at = 0; at < bytes.length; at += WIDTH) {
    const row = bytes.subarray(at, at + WIDTH);
    const isSame = before !== null && row.length === WIDTH && row.equals(before);
    if (!isSame) lines.push(lineOf(row, at));
    else if (!isRepeated) lines.push('*');
    isRepeated = isSame;
    before = row;
  }
  if (bytes.length > 0) lines.push(offset(bytes.length));
  return lines;
}

function lineOf(row: Buffer, at: number): string {
  const hex = [...row].map((byte) => byte.toString(16).padStart(2, '0'));
  const halves = [hex.slice(0, 8).join(' '), hex.slice(8).join(' ')];
  const text = [...row].map((byte) =>
    byte < 0x20 || byte > 0x7e ? '.' : String.fromCharCode(byte),
  );
  return `${offset(at)}  ${halves.join('  ').padEnd(48)}  |${text.join('')}|`;
}

function offset(at: number): string {
  return at.toString(16).padStart(8, '0');
}
