// Finds a Chromium that Playwright can drive.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import path from 'node:path';
import { run } from './processes.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'microsoft-edge'];
const PLACES = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
  'C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe',
];

/** The path of a Chromium: `KERF_CHROMIUM`, else the system's, else one installed with apt when this is root. */
export async function ensureChromium() {
  const named = process.env.KERF_CHROMIUM;
  if (named) {
    if (!existsSync(named)) {
      throw new Error(`KERF_CHROMIUM names ${named}, which does not exist`);
    }
    return named;
  }
  const found = findChromium();
  if (found) {
    return found;
  }
  if (process.getuid?.() === 0 && spawnSync('apt-get', ['--version']).status === 0) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    await run('apt-get', ['update', '-qq'], { env });
    await run(
      'apt-get',
      ['install', '-y', '-qq', '--no-install-recommends', 'chromium', 'fonts-dejavu-core'],
      { env },
    );
    const installed = findChromium();
    if (installed) {
      return installed;
    }
  }
  throw new Error(
    'No Chromium found. Install it (Debian: apt-get install chromium; macOS: brew install --cask chromium), ' +
      'or name one in KERF_CHROMIUM.',
  );
}

function findChromium() {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  const candidates = [
    ...NAMES.flatMap((name) => folders.map((folder) => path.join(folder, name))),
    ...PLACES,
  ];
  return candidates.find(isExecutable);
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    // Not there or not ours to run: not a candidate.
    return false;
  }
}

/** Arguments for Chromium on a machine that may be a container: root has no sandbox, and /dev/shm may be small. */
export const chromiumArguments = ['--no-sandbox', '--disable-dev-shm-usage'];
