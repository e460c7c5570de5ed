// Installs and runs the real VS Code server and workbench. They come from the npm package `code-server`, so nothing but
// the package registry is needed, and nothing at all once they are installed.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, open, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { capture, freePort, run, stopGroup, until } from './processes.mjs';

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
export const tools = path.join(root, '.tools');

/** VS Code 1.100: the newest that runs on Node 20, and the oldest that the extension supports. */
const OLDEST = '4.100.3';

/**
 * The folder of the server, installed when it is not there yet.
 *
 * No install script of the many packages runs. The native modules that VS Code cannot do without come prebuilt; the
 * rest is built when the machine has a compiler: node-pty for the terminal, spdlog for log files, native-watchdog to
 * end the extension host when its server dies. The workbench runs without them.
 */
export async function ensureServer({ version = OLDEST, node = process.execPath } = {}) {
  const home = path.join(tools, `code-server-${version}`);
  const server = path.join(home, 'node_modules/code-server/lib/vscode');
  const ready = path.join(home, 'ready');
  if (existsSync(ready)) {
    return server;
  }
  console.log(`Installing the VS Code server (code-server ${version}), once.`);
  await rm(home, { recursive: true, force: true });
  await mkdir(home, { recursive: true });
  await writeFile(path.join(home, 'package.json'), '{ "private": true }\n');
  const environment = { ...process.env, PATH: `${path.dirname(node)}${path.delimiter}${process.env.PATH}` };
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  await npm(['install', `code-server@${version}`, ...quiet], home, environment);
  await npm(['install', '--omit=dev', ...quiet], server, environment);
  await addRipgrep(home, server, quiet, environment);
  await buildNatives(server, node, environment);
  await writeFile(ready, `${new Date().toISOString()}\n`);
  return server;
}

function npm(args, cwd, env) {
  return run('npm', args, { cwd, env, shell: process.platform === 'win32' });
}

/** File search needs ripgrep, which the older server downloads in an install script; its binary is on npm as well. */
async function addRipgrep(home, server, quiet, environment) {
  const bin = path.join(server, 'node_modules/@vscode/ripgrep/bin');
  if (!existsSync(path.dirname(bin)) || existsSync(bin)) {
    return;
  }
  const name = `@vscode/ripgrep-${process.platform}-${process.arch}`;
  await npm(['install', `${name}@1.18.0`, '--no-save', ...quiet], home, environment);
  await cp(path.join(home, 'node_modules', name, 'bin'), bin, { recursive: true });
}

async function buildNatives(server, node, environment) {
  const wanted = ['native-watchdog', '@vscode/native-watchdog', '@vscode/spdlog', 'node-pty'];
  const present = wanted.filter((name) => existsSync(path.join(server, 'node_modules', name)));
  const headers = path.dirname(path.dirname(node));
  const env = { ...environment };
  if (existsSync(path.join(headers, 'include/node/node.h'))) {
    // Otherwise node-gyp downloads the headers of Node.
    env.npm_config_nodedir = headers;
  }
  const log = await open(path.join(path.dirname(server), '../../../native-build.log'), 'w');
  const failed = present.filter(
    (name) =>
      spawnSync('npm', ['rebuild', name], {
        cwd: server,
        env,
        stdio: ['ignore', log.fd, log.fd],
        shell: process.platform === 'win32',
      }).status !== 0 && !isBuilt(server, name),
  );
  await log.close();
  if (failed.length > 0) {
    console.log(`Not built: ${failed.join(', ')}. The workbench runs without; see native-build.log.`);
  }
}

/** node-pty's last install step wants files that only Windows needs and fails after the build itself succeeded. */
function isBuilt(server, name) {
  return existsSync(path.join(server, 'node_modules', name, 'build/Release'));
}

/**
 * Starts the server on a free port of the loopback interface.
 *
 * `dataDir` keeps its settings, logs, storage and extensions. `settings` become the machine's settings. The result
 * builds workbench addresses (`url`), names this checkout as an extension under development (`extension`), and stops the
 * server with everything it started (`stop`).
 */
export async function startServer({ dataDir, settings = {}, version, node = process.execPath, env = {} }) {
  const server = await ensureServer({ version, node });
  await mkdir(path.join(dataDir, 'data/Machine'), { recursive: true });
  await mkdir(path.join(dataDir, 'data/User'), { recursive: true });
  const all = { ...quietSettings, ...settings };
  await writeFile(path.join(dataDir, 'data/Machine/settings.json'), JSON.stringify(all, null, 2));
  await writeFile(path.join(dataDir, 'data/User/settings.json'), JSON.stringify(all, null, 2));
  // Themes inside the extension's folder would be taken for its own, and `.tools` is inside: so it gets another address.
  const extension = path.join(dataDir, 'development');
  await rm(extension, { force: true });
  await symlink(root, extension, 'junction');
  const port = await freePort();
  const logFile = path.join(dataDir, 'server.log');
  const log = await open(logFile, 'w');
  const args = ['--without-connection-token', '--accept-server-license-terms', '--host', '127.0.0.1'];
  args.push('--port', String(port), '--server-data-dir', dataDir, '--telemetry-level', 'off');
  const child = spawn(node, [path.join(server, 'out/server-main.js'), ...args], {
    stdio: ['ignore', log.fd, log.fd],
    detached: process.platform !== 'win32',
    env: { ...process.env, ...env },
  });
  await log.close();
  const stop = () => stopGroup(child);
  try {
    await until('The VS Code server listens', 60, async () => {
      if (child.exitCode !== null) {
        throw new Error(
          `The VS Code server ended with ${child.exitCode}:\n${await readFile(logFile, 'utf8')}`,
        );
      }
      return isListening(port);
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, extension, url: (what) => workbenchUrl(port, what), logFile, stop };
}

const quietSettings = {
  'security.workspace.trust.enabled': false,
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'extensions.autoCheckUpdates': false,
  'chat.commandCenter.enabled': false,
};

async function isListening(port) {
  try {
    return (await fetch(`http://127.0.0.1:${port}/version`)).ok;
  } catch {
    // Not listening yet; the caller asks again.
    return false;
  }
}

/** The address of a workbench on `folder`, with the extension under development and its tests when they are given. */
export function workbenchUrl(port, { folder, extension, tests }) {
  const remote = (file) => `vscode-remote://localhost:${port}${file}`;
  const payload = [];
  if (extension) {
    payload.push(['extensionDevelopmentPath', remote(extension)]);
  }
  if (tests) {
    payload.push(['extensionTestsPath', remote(tests)]);
  }
  const query = [`folder=${encodeURIComponent(folder)}`];
  if (payload.length > 0) {
    query.push(`payload=${encodeURIComponent(JSON.stringify(payload))}`);
  }
  return `http://localhost:${port}/?${query.join('&')}`;
}

/** Installs a packaged extension into a server's data folder. */
export async function installExtension({ file, dataDir, version, node = process.execPath }) {
  const server = await ensureServer({ version, node });
  const main = path.join(server, 'out/server-main.js');
  const { code } = await capture(node, [
    main,
    '--accept-server-license-terms',
    '--server-data-dir',
    dataDir,
    '--install-extension',
    file,
  ]);
  if (code !== 0) {
    throw new Error(`${path.basename(file)} could not be installed`);
  }
}
