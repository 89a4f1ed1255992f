/** The longest wait of setTimeout, 24.8 days: it would end a longer one at once. */
export const MAX_WAIT_MS = 2 ** 31 - 1;

/**
 * Waits for work no longer than `ms` milliseconds: settles as the work does, or resolves with `late`. Work that is late
 * goes on; if it fails then, the failure is ignored.
 */
export async function withDeadline<T, L>(work: Promise<T>, ms: number, late: L): Promise<T | L> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<L>((resolve) => {
    timer = setTimeout(() => resolve(late), Math.min(ms, MAX_WAIT_MS));
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
