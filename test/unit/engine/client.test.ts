import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { forkEngine } from '../../../src/engine/client.ts';
import type { Engine } from '../../../src/engine/protocol.ts';
import { KerfError } from '../../../src/ir/errors.ts';
import { bundleProcesses } from '../support/bundle.ts';
import { samples } from '../support/models.ts';

const digits = path.join(samples, 'digits.onnx');
let modulePath = '';
let engine: Engine;
const crashes: string[] = [];

beforeAll(async () => {
  modulePath = (await bundleProcesses()).engine;
});
afterEach(() => engine.dispose());

function start(): Engine {
  crashes.length = 0;
  engine = forkEngine({ modulePath, onCrash: (detail) => crashes.push(detail) });
  return engine;
}

/** Kills the forked engine the way a crash would. */
function killEngine(): void {
  execFileSync('pkill', ['-KILL', '-f', modulePath]);
}

describe('the forked engine', () => {
  it('answers, with typed arrays intact', async () => {
    const { handle } = await start().call('open', { path: digits });
    const view = await engine.call('graph', { handle });
    expect(view.nodeCount).toBe(17);
    expect(view.params).toBeInstanceOf(Float64Array);
    expect(view.strings[view.op[1] as number]).toBe('Conv');
  });

  it('gives errors their reason, file and message', async () => {
    const failure = start().call('open', { path: 'nowhere.onnx' });
    await expect(failure).rejects.toMatchObject({
      reason: 'io',
      file: 'nowhere.onnx',
      message: 'no such file',
    });
  });

  it('goes to any point of a journal by handle', async () => {
    const steps = [{ pass: 'simplify' }, { pass: 'fuse' }];
    const first = await start().call('open', { path: digits, steps });
    const again = await engine.call('open', { path: digits, steps });
    const original = await engine.call('open', { path: digits });
    expect(again.handle).toBe(first.handle);
    expect(original.handle).not.toBe(first.handle);
    const { layers } = await engine.call('inspect', { handle: first.handle });
    expect(layers.some((layer) => layer.op === 'BatchNormalization')).toBe(false);
  });

  it('survives a crash: calls under way fail, the next one starts a new process', async () => {
    await start().call('open', { path: digits });
    const pending = engine.call('optimize', {
      handle: (await engine.call('open', { path: digits })).handle,
      device: 'pi4',
    });
    const outcome = expect(pending).rejects.toMatchObject({ reason: 'runtime-crashed' });
    killEngine();
    await outcome;
    await vi.waitFor(() => expect(crashes).toHaveLength(1));
    expect((await engine.call('open', { path: digits })).format).toBe('onnx');
  });

  it('cancels at once', async () => {
    const { handle } = await start().call('open', { path: digits });
    const controller = new AbortController();
    const pending = engine.call(
      'optimize',
      { handle, device: 'pi4' },
      { signal: controller.signal, onProgress: () => controller.abort() },
    );
    await expect(pending).rejects.toSatisfy((error) => KerfError.is(error, 'cancelled'));
    expect((await engine.call('inspect', { handle })).layers).toHaveLength(15);
  });
});
