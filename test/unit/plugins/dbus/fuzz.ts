/** Property tests that run briefly in the suite, and as long as one likes with PVX_FUZZ_SECONDS=N for each. */
import fc from 'fast-check';

const SECONDS = Number(process.env.PVX_FUZZ_SECONDS ?? 0);

/** For the test that fuzzes, in milliseconds. */
export const FUZZ_TIMEOUT = 30_000 + SECONDS * 2_000;

/** A promise where the property is asynchronous. */
export function fuzz<T>(property: fc.IProperty<T>, numRuns: number): void;
export function fuzz<T>(property: fc.IAsyncProperty<T>, numRuns: number): Promise<void>;
export function fuzz<T>(
  property: fc.IProperty<T> | fc.IAsyncProperty<T>,
  numRuns: number,
): void | Promise<void> {
  return fc.assert(
    property,
    SECONDS > 0
      ? {
          numRuns: 1_000_000_000,
          interruptAfterTimeLimit: SECONDS * 1000,
          markInterruptAsFailure: false,
        }
      : { numRuns },
  );
}
