/** Bounds on what is read, so that no revision can exhaust memory or time. */

/** Bytes of one manifest. */
export const MAX_MANIFEST = 1024 * 1024;
/** Bytes of a state, in any of its shapes. */
export const MAX_STATE = 16 * 1024 * 1024;
/** Arrays and objects within each other. */
export const MAX_DEPTH = 64;
/** Problems that one revision may have before the rest is only counted. */
export const MAX_PROBLEMS = 1000;
/** Entries of one folder, and of one manifest's arrays. */
export const MAX_ENTRIES = 20_000;
/** Connectors of one lease: as many as a card has CRTCs. */
export const MAX_LEASED = 32;
/** Interfaces, members and paths, of each, that one caller of a bus name is narrowed to. */
export const MAX_PARTS = 16;
/** Of one `allow_from`. */
export const MAX_NETWORKS = 64;
/** Of one `max_connections`. */
export const MAX_CONNECTIONS = 65_535;
/** Of one role, about HTTP. */
export const MAX_RULES = 1000;
/** Characters of any string that we read; PATH_MAX. */
export const MAX_STRING = 4096;
/** An archive may unpack to this many bytes, whatever its size, as far as it is read. */
export const MIN_UNPACKED = 64 * 1024 * 1024;
/** Beyond that, to this many times its own size: real file-system images stay far below. */
export const MAX_UNPACK_RATIO = 100;
/** Bytes to which an archive of that size may unpack. */
export function mostUnpacked(size: number): number {
  return Math.max(MIN_UNPACKED, size * MAX_UNPACK_RATIO);
}

/** Connections of one link at once, however many files may be open. */
export const CONNECTIONS_OF_LINK = 4_096;
