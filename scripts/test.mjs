// `npm test`: every check there is, one after another, and one line of counts at the end.
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { capture } from './processes.mjs';
import { report, runHostTests } from './testHost.mjs';
import { root } from './vscodeServer.mjs';

const bin = (name) => path.join(root, 'node_modules/.bin', name);
const shell = process.platform === 'win32';

/** A check that only succeeds or fails. */
async function gate(title, command, args) {
  heading(title);
  const { code } = await capture(command, args, { cwd: root, shell });
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1 };
}

/** A vitest run. Files that could not even be loaded and errors outside of tests count as failures. */
async function vitest(title, config) {
  heading(title);
  if (!existsSync(path.join(root, config))) {
    throw new Error(`${config} is missing`);
  }
  const json = path.join(root, '.cache', `${config}.json`);
  await rm(json, { force: true });
  const args = [
    'run',
    '--config',
    config,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${json}`,
  ];
  const { code } = await capture(bin('vitest'), args, { cwd: root, shell });
  if (!existsSync(json)) {
    return { passed: 0, failed: 1 };
  }
  const result = JSON.parse(await readFile(json, 'utf8'));
  const unloaded = result.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const failed = result.numFailedTests + unloaded;
  return { passed: result.numPassedTests, failed: failed === 0 && code !== 0 ? 1 : failed };
}

async function host() {
  heading('extension host');
  return report(await runHostTests());
}

function heading(title) {
  console.log(`\n── ${title} ${'─'.repeat(Math.max(0, 70 - title.length))}`);
}

const steps = {
  build: () => gate('build', process.execPath, ['scripts/build.mjs']),
  typecheck: () => gate('typecheck', 'npm', ['run', '--silent', 'typecheck']),
  lint: () => gate('lint', 'npm', ['run', '--silent', 'lint']),
  unit: () => vitest('unit', 'vitest.config.mjs'),
  webview: () => vitest('page', 'vitest.webview.config.mjs'),
  host,
  workbench: () => vitest('workbench', 'vitest.workbench.config.mjs'),
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in steps));
if (unknown.length > 0) {
  console.error(`Unknown: ${unknown.join(', ')}. There are: ${Object.keys(steps).join(', ')}.`);
  process.exit(2);
}

await mkdir(path.join(root, '.cache'), { recursive: true });
await rm(path.join(root, 'test-artifacts'), { recursive: true, force: true });
let passed = 0;
let failed = 0;
const summary = [];
for (const name of asked.length > 0 ? asked : Object.keys(steps)) {
  const start = Date.now();
  let counts;
  try {
    counts = await steps[name]();
  } catch (error) {
    console.error(error);
    counts = { passed: 0, failed: 1 };
  }
  passed += counts.passed;
  failed += counts.failed;
  const seconds = ((Date.now() - start) / 1000).toFixed(1);
  summary.push(`  ${name.padEnd(10)} ${counts.passed} passed, ${counts.failed} failed  (${seconds} s)`);
}
heading('summary');
console.log(`${summary.join('\n')}\n`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
