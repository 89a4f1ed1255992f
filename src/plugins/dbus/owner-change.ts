/** News of who owns a name: the signal `NameOwnerChanged` (D-Bus specification, "Message Bus Messages"). */
import type { Message } from './message.js';
import { BUS } from './message-writer.js';

export interface OwnerChange {
  readonly name: string;
  /** Its unique name; empty: nobody has it any more. */
  readonly owner: string;
}

export const OWNER_CHANGED = 'NameOwnerChanged';
/** The match rule that asks for all of them. */
export const OWNER_CHANGES = `type='signal',sender='${BUS}',interface='${BUS}',member='${OWNER_CHANGED}'`;

/** The match rule that asks for those of one name. */
export function ownerChangesOf(name: string): string {
  return `${OWNER_CHANGES},arg0='${name}'`;
}

/** Of a message that is such a signal; undefined where it can't be read. */
export function readOwnerChange({ body }: Message): OwnerChange | undefined {
  const [name, , owner] = [body?.string(), body?.string(), body?.string()];
  return name === undefined || owner === undefined ? undefined : { name, owner };
}
