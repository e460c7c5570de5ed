// Bundles one benchmark of test/bench and runs it: `npm run bench -- <name> [arguments]`; without a name it lists them.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import esbuild from 'esbuild';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const folder = path.join(root, 'test/bench');
const [name, ...rest] = process.argv.slice(2);
const source = path.join(folder, `${name}.bench.ts`);
if (name === undefined || !existsSync(source)) {
  const names = readdirSync(folder).filter((file) => file.endsWith('.bench.ts'));
  console.error(
    `usage: npm run bench -- NAME\n${names.map((file) => `  ${file.replace('.bench.ts', '')}`).join('\n')}`,
  );
  process.exit(2);
}
/** In a bundle every file would take itself for the bundle: each keeps its own place. */
const ownPlaces = {
  name: 'own-places',
  setup(build) {
    build.onLoad({ filter: /[\\/](scripts|test)[\\/].*\.(mjs|ts)$/ }, async (args) => {
      const text = await readFile(args.path, 'utf8');
      const contents = text
        .replaceAll('import.meta.dirname', JSON.stringify(path.dirname(args.path)))
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(args.path).href));
      return { contents, loader: args.path.endsWith('.ts') ? 'ts' : 'js' };
    });
  },
};
const outfile = path.join(root, 'node_modules/.cache/kerf', `${name}.bench.mjs`);
await esbuild.build({
  entryPoints: [source],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  plugins: [ownPlaces],
  logLevel: 'warning',
});
process.exit(spawnSync(process.execPath, [outfile, ...rest], { cwd: root, stdio: 'inherit' }).status ?? 1);
