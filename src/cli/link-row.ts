/**
 * The columns of one link, from its wire form, as unescaped text: the code that prints them escapes them.
 */
import { stateOfError } from '../graph/link.js';
import { isObject } from '../manifest/json.js';

export interface LinkRow {
  readonly consumer: string;
  readonly service: string;
  readonly type: string;
  readonly role: string;
  readonly provider: string;
  readonly target: string;
  /** Empty if the graph is not that of a daemon. */
  readonly state: string;
  /** What is done to the link for a while: `tap`, `fault`. */
  readonly marks: string;
  /** `ACTIVE/TOTAL`, and ` full` where no more may be open. */
  readonly connections: string;
  readonly error: string;
}

const MARKS = ['tap', 'fault'];

/** Rows of the entries that are objects; anything may be missing in them. */
export function linkRows(wire: readonly unknown[]): LinkRow[] {
  return wire.filter(isObject).map((link) => {
    const error = isObject(link.last_error) ? link.last_error : link.error;
    return {
      consumer: text(link.consumer),
      service: text(link.name),
      type: text(link.type),
      role: text(link.role),
      provider: text(link.provider),
      target: text(link.target),
      state: text(link.state) || (isObject(error) ? stateOfError(error.code) : ''),
      marks: MARKS.filter((mark) => isObject(link[mark])).join(', '),
      connections: connections(link.connections),
      error: isObject(error) ? text(error.message) : '',
    };
  });
}

function connections(value: unknown): string {
  if (!isObject(value)) return '';
  const { active, total, full } = value;
  return `${Number(active) || 0}/${Number(total) || 0}${full === true ? ' full' : ''}`;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
