/**
 * How an answer is shown at a terminal: what is a list as a table, what has keys as one row for each, anything else as
 * JSON. Nothing in it can move the cursor. Pure.
 */
import { isObject } from '../../manifest/json.js';
import { printableJson } from '../../manifest/text.js';
import { table } from '../table.js';

export function shownAtTerminal(text: string): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text; // it is plain text
  }
  if (Array.isArray(value) && value.every(isObject)) return list(value);
  if (isObject(value) && Object.values(value).every((one) => typeof one !== 'object')) {
    const rows = Object.entries(value).map(([key, one]) => [key, cell(one)]);
    return rows.length === 0 ? '' : table(['key', 'value'], rows);
  }
  return `${printableJson(value)}\n`;
}

function list(rows: readonly Record<string, unknown>[]): string {
  if (rows.length === 0) return 'There are none.\n';
  const flat = rows.map(flattened);
  const keys = [...new Set(flat.flatMap((row) => Object.keys(row)))];
  return table(
    keys.map((key) => key.replaceAll('_', ' ')),
    flat.map((row) => keys.map((key) => cell(row[key]))),
  );
}

/** What is in an object within it has a column of its own. */
function flattened(row: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(row).flatMap(([key, value]) =>
    isObject(value) && !isError(key)
      ? Object.entries(value).map(([inner, one]) => [inner, one] as const)
      : [[key, value] as const],
  );
  return Object.fromEntries(entries);
}

/** An error is its sentence, and not a column for each of its parts. */
function isError(key: string): boolean {
  return key === 'last_error';
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value)) return value.map(cell).join(', ');
  return isObject(value) ? String(value.message ?? JSON.stringify(value)) : String(value);
}
