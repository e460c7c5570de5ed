import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { memoryBytes, missingBytes } from '../../../src/ir/bytes.ts';
import { KerfError } from '../../../src/ir/errors.ts';
import type { Model, Node, Value } from '../../../src/ir/model.ts';
import { withMainGraph } from '../../../src/ir/model.ts';
import { passes } from '../../../src/passes/registry.ts';
import { samples } from '../support/models.ts';
import { runPass } from './build.ts';
import { givenRanges } from './calibrate.ts';
import { randomModel } from './randomModel.ts';
import { random } from './runtime.ts';

/** Rewires, cuts and doubles things at random: dangling names, cycles, values made twice, short and missing weights. */
function damaged(model: Model, seed: number): Model {
  const next = random(seed);
  const graph = model.graphs[0];
  const ids = [...graph.values.keys()];
  const anyId = () => ids[Math.floor(next() * ids.length)] ?? 'nothing';
  const hit = () => next() < 0.08;
  const nodes = graph.nodes.map((node): Node => {
    const inputs = node.inputs.map((id) =>
      hit() ? (next() < 0.3 ? null : next() < 0.3 ? 'nowhere' : anyId()) : id,
    );
    const outputs = node.outputs.map((id) => (hit() ? (next() < 0.3 ? null : anyId()) : id));
    const attributes = new Map([...node.attributes].filter(() => !hit()));
    return { ...node, inputs: hit() ? inputs.slice(0, 1) : inputs, outputs, attributes };
  });
  const values = new Map<string, Value>();
  for (const [id, value] of graph.values) {
    if (next() < 0.02) continue;
    const { constant } = value;
    if (constant === undefined || !hit()) values.set(id, value);
    else {
      const data = next() < 0.5 ? missingBytes(constant.data.length, 'gone') : memoryBytes(new Uint8Array(3));
      values.set(id, { ...value, constant: { ...constant, data } });
    }
  }
  const outputs = graph.outputs.map((id) => (hit() ? anyId() : id));
  return withMainGraph(model, { ...graph, nodes, values, outputs });
}

const sources: readonly (readonly [string, (seed: number) => Model])[] = [
  ['random graphs', (seed) => randomModel(seed)],
  ['digits.onnx', () => readModelFile(path.join(samples, 'digits.onnx')).model],
  ['digits.tflite', () => readModelFile(path.join(samples, 'digits.tflite')).model],
];

describe.each(sources)('on damaged %s', (_, make) => {
  it.each(passes.map((pass) => [pass.id]))('%s ends, with a result or a reason', async (id) => {
    for (let seed = 1; seed <= 60; seed += 1) {
      const model = damaged(make(seed), seed);
      for (const options of id === 'fp16' ? [{}, { mode: 'compute' }] : [{}]) {
        try {
          const result = await runPass(id, model, { options, calibrator: givenRanges({}) });
          if (result.model === model) expect(result.changed).toEqual([]);
        } catch (error) {
          if (!(error instanceof KerfError) || error.reason === 'internal')
            throw new Error(`seed ${seed}`, { cause: error });
        }
      }
    }
  });
});
