import { defineConfig } from 'vitest/config';

// Suites that enter real namespaces share one kernel and two cores with each other: they run one file at a time.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 40_000,
    hookTimeout: 60_000,
    fileParallelism: false,
    pool: 'forks',
  },
});
