/**
 * Which connections break off, and where: planned here, so that one seed has the same plan again, and followed by the
 * relay (native/relay/fault.c). Pure.
 */

/** In each so many connections exactly the share breaks off. */
export const PLANNED = 1_000;
/** Of a connection that does not. */
export const NEVER = 2 ** 32 - 1;
/** Bytes of the provider's after which one breaks off, at most. */
export const FARTHEST = 64 * 1024;

/**
 * For PLANNED connections in the order in which they reach the provider. `percent`: of them, up to a tenth. Empty: none.
 * Small numbers of bytes are as likely as large ones, by their order of magnitude: before the first byte, within a head
 * and within a body are all places that a program has to bear.
 */
export function resetPlan(percent: number, seed: number): Uint32Array {
  const resets = Math.round((percent * PLANNED) / 100);
  if (resets === 0) return new Uint32Array();
  const random = randomOf(seed);
  const plan = new Uint32Array(PLANNED).fill(NEVER);
  for (let i = 0; i < resets; i++) plan[i] = Math.floor((FARTHEST + 1) ** random()) - 1;
  for (let i = PLANNED - 1; i > 0; i--) {
    const other = Math.floor(random() * (i + 1)); // Fisher and Yates
    [plan[i], plan[other]] = [plan[other] as number, plan[i] as number];
  }
  return plan;
}

/** Mulberry32, by T. Ettinger: numbers from 0 to 1, always the same ones of one seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
