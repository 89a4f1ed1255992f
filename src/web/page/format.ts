/** Values as people read them. Pure. */
import { escaped, printable } from '../../manifest/text.js';

/** What a browser shows nothing of, or less than there is: fillers and the like, spaces but the plain one within. */
const UNSEEN = /\p{Default_Ignorable_Code_Point}|\u2800|(?! )\p{Zs}|^ +| +$| (?= )/gu;

/** A name, of which every character is seen: those that show nothing are escaped as in JSON. */
export function seen(name: string): string {
  return name === '' ? '""' : printable(name).replace(UNSEEN, escaped);
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** Bytes a second; nothing for nothing. */
export function rate(perSecond: number): string {
  return perSecond === 0 ? '' : `${bytes(perSecond)}/s`;
}

export function time(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? '' : date.toLocaleTimeString([], { hour12: false });
}

/** How long ago that was: `12 s`, `5 min`, `3 h`, `2 d`. */
export function ago(iso: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - new Date(iso).getTime()) / 1_000));
  if (Number.isNaN(seconds)) return '';
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}
