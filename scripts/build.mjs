// Bundles the extension: host, engine, runner, command line, page and layout worker.
import { cp, mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import esbuild from 'esbuild';
import { copyRuntimes } from './runtimes.mjs';

const watch = process.argv.includes('--watch');
const production = process.argv.includes('--production');
const quiet = process.argv.includes('--quiet');
const { version } = JSON.parse(await readFile('package.json', 'utf8'));

const common = {
  bundle: true,
  sourcemap: !production,
  minify: production,
  target: 'es2022',
  logLevel: quiet ? 'warning' : 'info',
  define: { KERF_VERSION: JSON.stringify(version) },
};
const node = {
  ...common,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  outExtension: { '.js': '.cjs' },
  outdir: 'dist',
};
const page = {
  ...common,
  platform: 'browser',
  format: 'iife',
  outdir: 'dist/webview',
  loader: { '.ttf': 'file' },
};

const builds = [
  { ...node, entryPoints: { extension: 'src/extension.ts' }, external: ['vscode'] },
  {
    ...node,
    entryPoints: {
      engine: 'src/engine/server.ts',
      runner: 'src/runtime/process/runnerProcess.ts',
      cli: 'src/cli/main.ts',
      counter: 'src/engine/weights/countWorker.ts',
    },
    external: ['onnxruntime-node'],
  },
  { ...page, entryPoints: { main: 'webview-ui/main.ts', layoutWorker: 'webview-ui/graph/layoutWorker.ts' } },
];

// A development build overwrites in place: a running editor or test may be using the folder.
if (production) await rm('dist', { recursive: true, force: true });
await mkdir('dist/webview', { recursive: true });
await copyRuntimes('dist');
if (watch) {
  const contexts = await Promise.all(builds.map((options) => esbuild.context(options)));
  await Promise.all(contexts.map((context) => context.watch()));
} else {
  await Promise.all(builds.map((options) => esbuild.build(options)));
}
await cp('node_modules/@vscode/codicons/dist', 'dist/webview/codicons', {
  recursive: true,
  filter: (source) => !source.includes('src') && !source.endsWith('.html'),
});
for (const schema of ['src/devices/schemas/device.schema.json', 'src/runtime/schemas/dataset.schema.json']) {
  await cp(schema, `dist/schemas/${path.basename(schema)}`);
}
