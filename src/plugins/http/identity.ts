/** Who asks, as header lines for the provider. */
import type { Link } from '../../graph/link.js';

/** Of a name: what a header can't carry as it stands, and the sign that says so. */
const UNSAFE = /[^\x20-\x7e]|%|^ | $/gu;

/** `X-PV-Client` and `X-PV-Role`, each with its CRLF. Names are ASCII as they stand; the rest of them is percent-encoded. */
export function identityLines({ consumer, role }: Pick<Link, 'consumer' | 'role'>): string {
  return `X-PV-Client: ${headerValue(consumer)}\r\nX-PV-Role: ${headerValue(role)}\r\n`;
}

export function headerValue(name: string): string {
  return name.replace(UNSAFE, (char) =>
    [...Buffer.from(char)]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
}
