import { defineConfig } from 'vitest/config';

/** Flows in the real workbench: one server and one browser for all, one page and one folder for each flow. */
export default defineConfig({
  test: {
    include: ['test/workbench/**/*.test.ts'],
    globalSetup: ['test/workbench/support/globalSetup.ts'],
    testTimeout: 300_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000, interval: 100 } },
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
  },
});
