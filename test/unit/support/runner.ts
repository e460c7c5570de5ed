import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { copyWasm } from '../../../scripts/runtimes.mjs';
import { configureRunner } from '../../../src/runtime/process/launch.ts';

const root = resolve(import.meta.dirname, '../../..');
const cache = join(root, 'node_modules/.cache/kerf');

/**
 * Bundles the runner process of this source tree and lets `startRunner` use it. The bundle is named after its content,
 * so test files that run at once do not disturb each other. Returns its path.
 */
export async function useSourceRunner(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(root, 'src/runtime/process/runnerProcess.ts')],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external: ['onnxruntime-node'],
  });
  const [bundle] = outputFiles;
  if (bundle === undefined) throw new Error('esbuild gave no bundle of the runner');
  const folder = join(cache, createHash('sha256').update(bundle.contents).digest('hex').slice(0, 16));
  if (!existsSync(folder)) {
    const draft = `${folder}.${process.pid}`;
    await mkdir(draft, { recursive: true });
    await copyWasm(draft);
    await writeFile(join(draft, 'runner.cjs'), bundle.contents);
    await rename(draft, folder).catch(async (error: unknown) => {
      // Another test file was faster.
      await rm(draft, { recursive: true });
      if (!existsSync(folder)) throw error;
    });
  }
  const modulePath = join(folder, 'runner.cjs');
  configureRunner({ modulePath });
  return modulePath;
}
