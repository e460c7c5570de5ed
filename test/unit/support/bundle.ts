import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { copyWasm } from '../../../scripts/runtimes.mjs';

const root = resolve(import.meta.dirname, '../../..');
const cache = join(root, 'node_modules/.cache/kerf');

/** The engine, the runner and the command line of this source tree, bundled side by side as in `dist`. */
export async function bundleProcesses(): Promise<{
  engine: string;
  cli: string;
  runner: string;
  counter: string;
}> {
  const { outputFiles } = await build({
    entryPoints: {
      engine: join(root, 'src/engine/server.ts'),
      cli: join(root, 'src/cli/main.ts'),
      runner: join(root, 'src/runtime/process/runnerProcess.ts'),
      counter: join(root, 'src/engine/weights/countWorker.ts'),
    },
    outdir: join(cache, 'out'),
    outExtension: { '.js': '.cjs' },
    define: { KERF_VERSION: '"test"' },
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external: ['onnxruntime-node'],
  });
  const hash = createHash('sha256');
  for (const file of outputFiles) hash.update(file.contents);
  const folder = join(cache, `processes-${hash.digest('hex').slice(0, 16)}`);
  if (!existsSync(folder)) {
    const draft = `${folder}.${process.pid}`;
    await mkdir(draft, { recursive: true });
    await copyWasm(draft);
    for (const file of outputFiles)
      await writeFile(join(draft, file.path.split(/[/\\]/).at(-1) as string), file.contents);
    await symlink(join(root, 'node_modules'), join(draft, 'node_modules'), 'junction');
    await rename(draft, folder).catch(async (error: unknown) => {
      // Another test file was faster.
      await rm(draft, { recursive: true });
      if (!existsSync(folder)) throw error;
    });
  }
  return {
    engine: join(folder, 'engine.cjs'),
    cli: join(folder, 'cli.cjs'),
    runner: join(folder, 'runner.cjs'),
    counter: join(folder, 'counter.cjs'),
  };
}

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line and collects what it says. */
export function runKerf(cli: string, args: readonly string[]): Promise<Outcome> {
  return new Promise((settle, reject) => {
    const child = spawn(process.execPath, [cli, ...args], { cwd: root });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (data: Buffer) => {
      stdout += data.toString();
    });
    child.stderr.on('data', (data: Buffer) => {
      stderr += data.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => settle({ code, stdout, stderr }));
  });
}
