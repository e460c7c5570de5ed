// Packages the extension for one or more platforms: `node scripts/package.mjs [target…]`, default this machine's.
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { unzipSync } from 'fflate';
import { run } from './processes.mjs';
import { copyRuntimes } from './runtimes.mjs';
import { root } from './vscodeServer.mjs';

/** Targets with a native ONNX Runtime, and one without for each of the others that VS Code knows. */
const TARGETS = [
  'linux-x64',
  'linux-arm64',
  'darwin-arm64',
  'win32-x64',
  'win32-arm64',
  'darwin-x64',
  'linux-armhf',
  'alpine-x64',
  'alpine-arm64',
];

/** Files without which the installed extension would not work, whatever the platform. */
const EXPECTED = [
  'package.json',
  'package.nls.json',
  'readme.md',
  'LICENSE.txt',
  'changelog.md',
  'media/icon.png',
  'dist/extension.cjs',
  'dist/engine.cjs',
  'dist/runner.cjs',
  'dist/cli.cjs',
  'dist/counter.cjs',
  'dist/webview/main.js',
  'dist/webview/main.css',
  'dist/webview/layoutWorker.js',
  'dist/webview/codicons/codicon.css',
  'dist/webview/codicons/codicon.ttf',
  'dist/litert/litert_wasm_compat_internal.wasm',
  'dist/tflite/tflite_web_api_cc_simd.wasm',
  'samples/digits.onnx',
];

const MAX_MEGABYTES = 35;

/** Builds once for release and writes `kerf-<target>-<version>.vsix` for each target. Returns the files. */
export async function packageFor(targets) {
  const { version } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
  await run(process.execPath, ['scripts/build.mjs', '--production'], { cwd: root });
  const files = [];
  for (const target of targets) {
    // The build put this machine's runtime there; the package carries the target's and no other.
    await rm(path.join(root, 'dist/node_modules'), { recursive: true, force: true });
    await copyRuntimes(path.join(root, 'dist'), target);
    const file = path.join(root, 'dist-vsix', `kerf-${target}-${version}.vsix`);
    await mkdir(path.dirname(file), { recursive: true });
    const vsce = path.join(root, 'node_modules/@vscode/vsce/vsce');
    const options = [
      '--target',
      target,
      '--no-dependencies',
      '--allow-missing-repository',
      '--no-rewrite-relative-links',
      '--out',
      file,
    ];
    await run(process.execPath, [vsce, 'package', ...options], { cwd: root });
    await checkPackage(file, target);
    files.push(file);
  }
  return files;
}

/** Looks into the package: expected files are there, sources and tests are not, and the size is bearable. */
async function checkPackage(file, target) {
  const names = [];
  unzipSync(await readFile(file), {
    filter: ({ name }) => {
      names.push(name);
      return false;
    },
  });
  const inside = new Set(names.filter((name) => name.startsWith('extension/')).map((name) => name.slice(10)));
  const missing = EXPECTED.filter((name) => !inside.has(name));
  if (existsSync(path.join(root, 'dist/node_modules/onnxruntime-node'))) {
    const folder = `dist/node_modules/onnxruntime-node/bin/napi-v6/${target.replace('-', '/')}`;
    missing.push(...[`${folder}/onnxruntime_binding.node`].filter((name) => !inside.has(name)));
  }
  const strangers = [...inside].filter((name) => /^(src|test|scripts|webview-ui|\.[a-z])/.test(name));
  const megabytes = (await stat(file)).size / 1e6;
  const complaints = [
    ...missing.map((name) => `${name} is missing`),
    ...strangers.map((name) => `${name} does not belong there`),
    ...(megabytes > MAX_MEGABYTES ? [`${megabytes.toFixed(1)} MB is more than ${MAX_MEGABYTES} MB`] : []),
  ];
  if (complaints.length > 0) {
    throw new Error(`${path.basename(file)}: ${complaints.join('; ')}`);
  }
  console.log(`${path.relative(root, file)}: ${inside.size} files, ${megabytes.toFixed(1)} MB`);
}

if (process.argv[1] === path.join(root, 'scripts/package.mjs')) {
  const asked = process.argv.slice(2);
  const unknown = asked.filter((target) => target !== 'all' && !TARGETS.includes(target));
  if (unknown.length > 0) {
    console.error(`Unknown target ${unknown.join(', ')}. There are: all, ${TARGETS.join(', ')}.`);
    process.exit(2);
  }
  const here = [`${process.platform}-${process.arch}`];
  await packageFor(asked.includes('all') ? TARGETS : asked.length > 0 ? asked : here);
}
