import { beforeAll, describe, expect, it } from 'vitest';
import type { TfliteModel, Value } from '../../../src/ir/model.ts';
import { floatTensor } from '../../../src/ir/numbers.ts';
import { tensorType } from '../../../src/ir/types.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import { temporaryFile } from '../passes/calibrate.ts';
import { floatsOf } from '../passes/runtime.ts';
import { useSourceRunner } from '../support/runner.ts';

beforeAll(useSourceRunner);

/** y = x + 1, and x itself. */
function model(): TfliteModel {
  const values = new Map<string, Value>();
  const type = tensorType('float32', [1, 4]);
  for (const id of ['x', 'y']) values.set(id, { id, name: id, type });
  const one = floatTensor([4], new Float32Array(4).fill(1));
  values.set('one', { id: 'one', name: 'one', type: tensorType('float32', [4]), constant: one });
  const none = { kind: 'enum', value: 0, name: 'NONE' } as const;
  const nodes = [
    {
      id: 'y',
      name: '',
      op: 'ADD',
      domain: '',
      inputs: ['x', 'one'],
      outputs: ['y'],
      attributes: new Map([['fused_activation_function', none]]),
    },
  ];
  const graph = { name: 'main', inputs: ['x'], outputs: ['x', 'y'], nodes, values };
  return { dialect: 'tflite', version: 3, description: '', metadata: [], signatures: [], graphs: [graph] };
}

describe('an input that is an output of a TFLite model', () => {
  it('comes out as it went in, and is seen by its readers', async () => {
    const runner = startRunner();
    const session = await runner.open(await temporaryFile(model()), {});
    for (const first of [3, 5]) {
      const numbers = Float32Array.of(first, 2, -1, 0.5);
      const data = new Uint8Array(numbers.buffer);
      const outputs = await session.run({ x: { dtype: 'float32', dims: [1, 4], data } });
      expect([...floatsOf(outputs['x'])]).toEqual([...numbers]);
      expect([...floatsOf(outputs['y'])]).toEqual([...numbers].map((value) => value + 1));
    }
    runner.kill();
  });
});
