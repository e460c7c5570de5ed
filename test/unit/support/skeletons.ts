import path from 'node:path';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { OnnxModel, Value } from '../../../src/ir/model.ts';
import { withMainGraph } from '../../../src/ir/model.ts';
import { floatTensor } from '../../../src/ir/numbers.ts';
import { random } from '../passes/runtime.ts';
import { shared } from './models.ts';

/** A graph of the shared collection whose weight file is absent, with seeded weights of He's scale in its place. */
export function filledSkeleton(name: string, seed = 1): OnnxModel {
  const { model } = readModelFile(path.join(shared, 'models/skeletons', `${name}.onnx`));
  if (model.dialect !== 'onnx') throw new Error(`${name} is no ONNX model`);
  const graph = model.graphs[0];
  const normal = gaussian(seed);
  const values = new Map([...graph.values].map(([id, value]) => [id, filled(value, normal)]));
  return withMainGraph(model, { ...graph, values });
}

function filled(value: Value, normal: () => number): Value {
  const { constant } = value;
  if (constant?.data.missing === undefined) return value;
  if (constant.dtype !== 'float32') throw new Error(`${value.id} is missing and no float`);
  const { dims } = constant;
  const count = dims.reduce((product, dim) => product * dim, 1);
  const fanIn = dims.slice(1).reduce((product, dim) => product * dim, 1);
  // Vectors are biases, or the scales of normalizations where a net keeps those: 1 would be right there, 0 is not wrong.
  const deviation = dims.length > 1 ? Math.sqrt(2 / fanIn) : 0.01;
  const data = Float32Array.from({ length: count }, () => normal() * deviation);
  return { ...value, constant: floatTensor(dims, data) };
}

/** Normal deviates of Box and Muller. */
function gaussian(seed: number): () => number {
  const uniform = random(seed);
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
