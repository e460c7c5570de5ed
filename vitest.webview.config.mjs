import { defineConfig } from 'vitest/config';

/** The page in a real Chromium against a made-up host. */
export default defineConfig({
  test: {
    include: ['test/webview/**/*.test.ts'],
    // What a test expects may be on its way.
    expect: { poll: { timeout: 20_000 } },
    testTimeout: 60_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
});
