import { defineConfig } from 'vitest/config';

/**
 * What needs nothing of the machine runs first, on all cores, the files of a worker in one process. Suites that enter
 * real namespaces run each in a process of its own, two at a time, however many cores there are: most of their time they
 * wait. They share one kernel, so what a file makes there (namespaces, bridges, engines, folders) has a name of its own.
 */
export default defineConfig({
  test: {
    testTimeout: 40_000,
    hookTimeout: 60_000,
    pool: 'forks',
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          maxWorkers: '100%',
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'machine',
          include: ['test/{integration,e2e}/**/*.test.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
