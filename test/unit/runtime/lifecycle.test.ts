import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { beforeAll, expect, it, vi } from 'vitest';
import { isAlive, runnersOf } from '../support/children.ts';
import { samples } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { temporaryFolder } from '../support/temporary.ts';

const folder = temporaryFolder();
const script = join(folder, 'parent.cjs');
const launch = resolve(import.meta.dirname, '../../../src/runtime/process/launch.ts');

beforeAll(async () => {
  const modulePath = await useSourceRunner();
  const entry = join(folder, 'parent.ts');
  writeFileSync(
    entry,
    `import { configureRunner, startRunner } from ${JSON.stringify(launch)};
     import { setTimeout } from 'node:timers';
     configureRunner({ modulePath: ${JSON.stringify(modulePath)} });
     startRunner().open(${JSON.stringify(join(samples, 'digits.onnx'))}, {}).then((session) => {
       console.log(session.info.runtime);
       if (process.argv[2] === 'stay') setTimeout(() => undefined, 2 ** 30);
     });`,
  );
  await build({ entryPoints: [entry], bundle: true, platform: 'node', format: 'cjs', outfile: script });
});

it('does not keep its parent alive while idle', async () => {
  const parent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  parent.stdout.on('data', (data: Buffer) => {
    said += data.toString();
  });
  const code = await new Promise((settle) => {
    parent.on('close', settle);
  });
  expect([said.trim(), code]).toEqual(['onnxruntime', 0]);
});

it('reports to nobody and leaves nothing behind', async () => {
  const empty = join(folder, 'empty');
  mkdirSync(empty);
  const env = { ...process.env, TMPDIR: empty, TEMP: empty, TMP: empty };
  const parent = spawn(process.execPath, [script], { stdio: 'ignore', env });
  await new Promise((settle) => {
    parent.on('close', settle);
  });
  // ONNX Runtime's telemetry would have written its session and its log here.
  expect(readdirSync(empty)).toEqual([]);
});

it('ends when its parent dies', async () => {
  const parent = spawn(process.execPath, [script, 'stay'], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((settle) => {
    parent.stdout.once('data', settle);
  });
  const [child] = runnersOf(parent.pid as number) as [number];
  expect(isAlive(child)).toBe(true);
  parent.kill('SIGKILL');
  await vi.waitUntil(() => !isAlive(child), { timeout: 30_000 });
});
