import { createCipheriv } from 'node:crypto';

/** So many bytes as look random and are the same every time; others for another number. */
export function someBytes(size: number, number = 0): Buffer {
  const counter = Buffer.alloc(16);
  counter.writeUInt32BE(number);
  return createCipheriv('aes-128-ctr', Buffer.alloc(16), counter).update(Buffer.alloc(size));
}
