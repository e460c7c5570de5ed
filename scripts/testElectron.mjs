// `npm run test:electron`: the extension host tests in desktop VS Code. Downloads VS Code, so it needs a network.
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runTests } from '@vscode/test-electron';
import { bundleHostTests, report } from './testHost.mjs';
import { root } from './vscodeServer.mjs';

const version = process.argv[2] ?? 'stable';
const bundle = path.join(root, '.cache/host/index.cjs');
await bundleHostTests(bundle);
const temporary = await mkdtemp(path.join(tmpdir(), 'kerf-electron-'));
const folder = path.join(temporary, 'models');
await cp(path.join(root, 'samples'), folder, { recursive: true });
const result = path.join(temporary, 'result.json');
try {
  await runTests({
    version,
    cachePath: path.join(root, '.tools/vscode-desktop'),
    extensionDevelopmentPath: root,
    extensionTestsPath: bundle,
    extensionTestsEnv: { KERF_HOST_RESULT: result },
    launchArgs: [
      folder,
      '--disable-extensions',
      '--disable-workspace-trust',
      '--user-data-dir',
      path.join(temporary, 'user'),
    ],
  });
  const { passed, failed } = report(JSON.parse(await readFile(result, 'utf8')));
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
} finally {
  await rm(temporary, { recursive: true, force: true });
}
