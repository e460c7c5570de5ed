// Bundles one benchmark of test/bench and runs it: `npm run bench -- <name> [arguments]`; without a name it lists them.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
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
const outfile = path.join(root, 'node_modules/.cache/kerf', `${name}.bench.mjs`);
await esbuild.build({
  entryPoints: [source],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  logLevel: 'warning',
});
process.exit(spawnSync(process.execPath, [outfile, ...rest], { cwd: root, stdio: 'inherit' }).status ?? 1);
