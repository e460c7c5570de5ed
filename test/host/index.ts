import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';

interface Outcome {
  readonly title: string;
  readonly error?: string;
}

/** The extension host calls this. The outcome goes into the file that the runner waits for, because no exit code comes back. */
export async function run(): Promise<void> {
  const file = process.env['KERF_HOST_RESULT'];
  if (file === undefined) {
    throw new Error('KERF_HOST_RESULT names no file');
  }
  const mocha = new Mocha({ ui: 'bdd', timeout: 60_000 });
  // Test files call `describe` and `it`, which exist from here on; so they are loaded only now.
  mocha.suite.emit('pre-require', globalThis, 'host', mocha);
  const outcomes: Outcome[] = [];
  try {
    await loadSuites();
    await finish(mocha, outcomes);
  } catch (error) {
    outcomes.push({ title: 'loading the tests', error: describeError(error) });
  }
  writeFileSync(file, JSON.stringify(outcomes, null, 2));
}

async function loadSuites(): Promise<void> {
  await import('./manifest.test.ts');
  await import('./history.test.ts');
  await import('./textForm.test.ts');
  await import('./findings.test.ts');
  await import('./language.test.ts');
  await import('./fixes.test.ts');
  await import('./work.test.ts');
  await import('./damage.test.ts');
  await import('./suite/document.test.ts');
  await import('./suite/surfaces.test.ts');
}

function finish(mocha: Mocha, outcomes: Outcome[]): Promise<void> {
  return new Promise((resolve) => {
    const runner = mocha.run(() => resolve());
    runner.on('pass', (test) => outcomes.push({ title: test.fullTitle() }));
    runner.on('fail', (test, error) =>
      outcomes.push({ title: test.fullTitle(), error: describeError(error) }),
    );
  });
}

function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
