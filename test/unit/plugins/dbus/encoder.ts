/** Messages as anybody may send them, right and wrong, in both byte orders: written apart from what is tested. */

export type FieldSpec = readonly [code: number, signature: string, value: string | number | Buffer];

export interface MessageSpec {
  readonly little?: boolean;
  readonly type?: number;
  readonly flags?: number;
  readonly version?: number;
  readonly serial?: number;
  readonly fields?: readonly FieldSpec[];
  readonly body?: Buffer;
  /** In place of the true ones. */
  readonly bodyLength?: number;
  readonly fieldsLength?: number;
}

export const PATH: FieldSpec = [1, 'o', '/org/example'];
export const INTERFACE: FieldSpec = [2, 's', 'org.example.Foo'];
export const MEMBER: FieldSpec = [3, 's', 'Bar'];
export const ERROR_NAME: FieldSpec = [4, 's', 'org.example.Error'];
export const REPLY_SERIAL: FieldSpec = [5, 'u', 7];
export const DESTINATION: FieldSpec = [6, 's', 'org.example.Foo'];
export const SENDER: FieldSpec = [7, 's', ':1.42'];
export const CALL: readonly FieldSpec[] = [PATH, INTERFACE, MEMBER, DESTINATION];

export function word(value: number, little: boolean): Buffer {
  const bytes = Buffer.alloc(4);
  if (little) bytes.writeUInt32LE(value);
  else bytes.writeUInt32BE(value);
  return bytes;
}

/** A string of a body: its length, its bytes, NUL. */
export function text(value: string, little = true): Buffer {
  return Buffer.concat([word(Buffer.byteLength(value), little), Buffer.from(`${value}\0`)]);
}

function pad(bytes: Buffer, alignment: number): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((alignment - (bytes.length % alignment)) % alignment)]);
}

/** A value in a variant; a Buffer stands for itself, already in its place. */
function variant(signature: string, value: string | number | Buffer, little: boolean): Buffer {
  const head = Buffer.from(`${String.fromCharCode(signature.length)}${signature}\0`, 'latin1');
  if (Buffer.isBuffer(value)) return Buffer.concat([head, value]);
  if (typeof value === 'number') return Buffer.concat([head, word(value, little)]);
  if (signature === 'g') {
    return Buffer.concat([head, Buffer.from([value.length]), Buffer.from(`${value}\0`)]);
  }
  return Buffer.concat([head, text(value, little)]);
}

export function encode(spec: MessageSpec = {}): Buffer {
  const { little = true, body = Buffer.alloc(0), fields = CALL } = spec;
  let array = Buffer.alloc(0);
  for (const [code, signature, value] of fields) {
    const start = pad(array, 8);
    array = Buffer.concat([start, Buffer.from([code]), variant(signature, value, little)]);
  }
  const { type = 1, flags = 0, version = 1 } = spec;
  return Buffer.concat([
    Buffer.from([little ? 0x6c : 0x42, type, flags, version]),
    word(spec.bodyLength ?? body.length, little),
    word(spec.serial ?? 1, little),
    word(spec.fieldsLength ?? array.length, little),
    pad(array, 8),
    body,
  ]);
}
