// Puts the inference runtimes beside the bundle: native ONNX Runtime of one platform, the WebAssembly TFLite runtimes.
import { access, cp, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const modules = join(dirname(fileURLToPath(import.meta.url)), '..', 'node_modules');

/** Visual Studio Code's target names for which onnxruntime-node carries a native library, and the file to expect. */
const native = {
  'linux-x64': { folder: 'linux/x64', library: 'libonnxruntime.so.1' },
  'linux-arm64': { folder: 'linux/arm64', library: 'libonnxruntime.so.1' },
  'darwin-arm64': { folder: 'darwin/arm64', library: 'libonnxruntime.1.dylib' },
  'win32-x64': { folder: 'win32/x64', library: 'onnxruntime.dll' },
  'win32-arm64': { folder: 'win32/arm64', library: 'onnxruntime.dll' },
};

const wasm = [
  { from: '@litertjs/core', to: 'litert', files: ['litert_wasm_compat_internal'] },
  { from: '@tensorflow/tfjs-tflite', to: 'tflite', files: ['tflite_web_api_cc_simd'] },
];

/**
 * Copies every runtime for `target` (default: this machine) into `dist`. On a target without native ONNX Runtime only
 * the WebAssembly runtimes are copied, and running an ONNX model there says so.
 */
export async function copyRuntimes(dist, target = `${process.platform}-${process.arch}`) {
  await copyWasm(dist);
  await copyNative(dist, target);
}

/** The TFLite runtimes, the same on every platform: `<dist>/litert` and `<dist>/tflite`. */
export async function copyWasm(dist) {
  for (const { from, to, files } of wasm) {
    const names = files.flatMap((file) => [`wasm/${file}.js`, `wasm/${file}.wasm`]);
    await copyFiles(join(modules, from), join(dist, to), [...names, 'package.json', 'README.md'], {
      flat: true,
    });
  }
}

async function copyNative(dist, target) {
  const known = native[target];
  if (known === undefined) {
    console.warn(`No native ONNX Runtime for ${target}: this build runs TFLite models only.`);
    return;
  }
  const { folder, library } = known;
  const bin = `bin/napi-v6/${folder}`;
  const to = join(dist, 'node_modules');
  await copyFiles(join(modules, 'onnxruntime-node'), join(to, 'onnxruntime-node'), [
    'package.json',
    'README.md',
    'dist',
    bin,
  ]);
  await copyFiles(join(modules, 'onnxruntime-common'), join(to, 'onnxruntime-common'), [
    'package.json',
    'README.md',
    'dist/cjs',
  ]);
  for (const file of [`${bin}/onnxruntime_binding.node`, `${bin}/${library}`, 'dist/index.js'])
    await access(join(to, 'onnxruntime-node', file));
  await access(join(to, 'onnxruntime-common', 'dist/cjs/index.js'));
}

async function copyFiles(from, to, names, { flat = false } = {}) {
  await mkdir(to, { recursive: true });
  for (const name of names) {
    const target = join(to, flat ? name.slice(name.lastIndexOf('/') + 1) : name);
    await cp(join(from, name), target, { recursive: true, filter: wanted });
    await access(target);
  }
}

/** Source maps and type declarations are of no use at run time; macOS carries the same library under two names. */
function wanted(path) {
  return !/\.(map|d\.ts)$/.test(path) && !/libonnxruntime\.\d+\.\d+\.\d+\.dylib$/.test(path);
}
