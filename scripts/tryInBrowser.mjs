// `npm run try`: the real VS Code in a browser, with Kerf from this checkout, opened on a copy of the samples.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { run } from './processes.mjs';
import { root, startServer } from './vscodeServer.mjs';
import { copyWritable } from './copies.mjs';

const asked = process.argv[2];
await run(process.execPath, [path.join(root, 'scripts/build.mjs')], { cwd: root });

const temporary = await mkdtemp(path.join(tmpdir(), 'kerf-try-'));
// A copy, so that trying things out never changes the checkout. A folder given by name is opened as it is.
const folder = asked ? path.resolve(asked) : path.join(temporary, 'samples');
if (!asked) {
  await copyWritable(path.join(root, 'samples'), folder);
}
const dataDir = path.join(temporary, 'server');
await mkdir(dataDir);
const server = await startServer({ dataDir });
const address = server.url({ folder, extension: server.extension });

console.log(`\nKerf is ready. Open this address in a browser, then click a model:\n\n  ${address}\n`);
console.log(`The folder is ${folder}. Press Ctrl+C to stop.`);
openInBrowser(address);

let stopping = false;
async function stop() {
  if (stopping) {
    return;
  }
  stopping = true;
  await server.stop();
  await rm(temporary, { recursive: true, force: true });
  process.exit(0);
}
process.on('SIGINT', stop);
process.on('SIGTERM', stop);

/** Where a desktop can open addresses, it does; the printed address is enough everywhere else. */
function openInBrowser(url) {
  const opener = { darwin: 'open', linux: 'xdg-open' }[process.platform];
  const hasDisplay = process.platform === 'darwin' || process.env.DISPLAY || process.env.WAYLAND_DISPLAY;
  if (!opener || !hasDisplay) {
    return;
  }
  const child = spawn(opener, [url], { stdio: 'ignore', detached: true });
  child.once('error', () => console.log(`(${opener} is not there: open the address by hand)`));
  child.unref();
}
