/**
 * The signal `NameOwnerChanged`, by which the bus tells who owns a name (D-Bus specification, "Message Bus Messages").
 */
import type { Message } from './message.js';
import { BUS } from './message-writer.js';

export interface OwnerChange {
  readonly name: string;
  /** The owner's unique name; empty: nobody owns it any more. */
  readonly owner: string;
}

export const OWNER_CHANGED = 'NameOwnerChanged';
/** The match rule for all such signals. */
export const OWNER_CHANGES = `type='signal',sender='${BUS}',interface='${BUS}',member='${OWNER_CHANGED}'`;

/** The match rule for those about one name. */
export function ownerChangesOf(name: string): string {
  return `${OWNER_CHANGES},arg0='${name}'`;
}

/** Reads a message that is such a signal. Undefined: its body is broken, or not whole. */
export function readOwnerChange({ body }: Message): OwnerChange | undefined {
  const [name, , owner] = [body?.string(), body?.string(), body?.string()];
  return name === undefined || owner === undefined ? undefined : { name, owner };
}
