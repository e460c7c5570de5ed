import { GraphEditor } from '../../ir/edit.ts';
import { sparselyStored } from '../../formats/tflite/sparse.ts';
import type { Model, NodeId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { readFloats } from '../../ir/numbers.ts';
import { tensorType } from '../../ir/types.ts';
import { isReadable } from '../support/constants.ts';

interface SparselyStored<M extends Model> {
  readonly model: M;
  readonly notes: readonly string[];
}

/** Storage is changed only where that saves more than a tenth: a weight that stays dense needs no operator before it. */
const leastGain = 0.9;

const layers = new Set(['CONV_2D', 'FULLY_CONNECTED']);

/**
 * Stores weights that are mostly zeros sparsely, behind a DENSIFY, where the file gets smaller. LiteRT unpacks them as
 * it loads, and XNNPACK runs networks of sparse 1 x 1 convolutions with sparse kernels (Elsen et al., "Fast Sparse
 * ConvNets", 2020). ONNX Runtime gains nothing, so ONNX models stay as they are.
 */
export function withSparseStorage<M extends Model>(
  model: M,
  chosen: ReadonlySet<NodeId> | undefined,
): SparselyStored<M> {
  if (model.dialect === 'onnx')
    return {
      model,
      notes: [
        'weights stay stored dense: ONNX Runtime unpacks sparse initializers as it loads, is no faster for them, and 64-bit indices take what the zeros save',
      ],
    };
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  let [stored, before, after] = [0, 0, 0];
  const made = new Map<string, string>();
  for (const node of graph.nodes) {
    const id = node.inputs[1];
    const tensor = id == null ? undefined : graph.values.get(id)?.constant;
    if (!layers.has(node.op) || id == null || tensor?.dtype !== 'float32' || !isReadable(tensor)) continue;
    if (chosen !== undefined && !chosen.has(node.id)) continue;
    let dense = made.get(id);
    const nodes = [];
    if (dense === undefined) {
      const bytes = tensor.data.length;
      if (zeroShare(readFloats(tensor)) < 1 - leastGain) continue;
      const sparse = sparselyStored(tensor);
      if (sparse.bytes > leastGain * bytes) continue;
      const constant = editor.addConstant(`${id}_sparse`, sparse.tensor);
      dense = editor.addValue(`${id}_dense`, { type: tensorType('float32', tensor.dims) });
      made.set(id, dense);
      nodes.push({
        id: editor.freshNode(`${node.id}/densify`),
        name: '',
        op: 'DENSIFY',
        domain: '',
        inputs: [constant],
        outputs: [dense],
        attributes: new Map(),
      });
      stored += 1;
      before += bytes;
      after += sparse.bytes;
    }
    editor.replaceNode(node.id, [
      ...nodes,
      { ...node, inputs: [node.inputs[0] ?? null, dense, ...node.inputs.slice(2)] },
    ]);
  }
  if (stored === 0)
    return {
      model,
      notes: ['no weight has zeros enough to be smaller when stored sparsely: all stay dense'],
    };
  const notes = [
    `${stored} weights are stored sparsely, ${kilobytes(before)} in ${kilobytes(after)}; LiteRT reads them, TensorFlow Lite Micro and most accelerators do not`,
    'do this last: other passes do not look behind the DENSIFY in front of such weights',
  ];
  return { model: withMainGraph(model, editor.finish()), notes };
}

function zeroShare(floats: Float32Array): number {
  return floats.reduce((sum, value) => sum + (value === 0 ? 1 : 0), 0) / floats.length;
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toPrecision(3)} kB`;
}
