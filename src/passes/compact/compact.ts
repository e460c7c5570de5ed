import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Model, Node, Value } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { sizeOf } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import type { OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { isReadable } from '../support/constants.ts';
import { changedNodes, isOnnxOp, resultOf } from '../support/graph.ts';
import { readOptions } from '../support/options.ts';
import { changedTensor } from '../support/pieces.ts';
import { floatBiases } from './floatBiases.ts';
import { isShort, shorten } from './shortened.ts';

/** Fewer significant bits in float constants: the same types, layers and speed, and less that a compressor has to keep. */
export const compact: Pass = {
  id: 'compact',
  title: 'Shorten float constants',
  summary:
    'Keeps fewer significant bits of float weights, biases and scales, in the same type: a much smaller compressed file at the same speed.',
  dialects: ['onnx', 'tflite'],
  exact: false,
  calibration: 'none',
  options: [
    {
      name: 'bits',
      title: 'Significant bits that are kept; float16 has 11, bfloat16 8',
      type: 'integer',
      default: 11,
      min: 2,
      max: 23,
    },
    {
      name: 'smallest',
      title: 'Constants with fewer numbers stay',
      type: 'integer',
      default: 8,
      min: 1,
      max: 1048576,
    },
    {
      name: 'biases',
      title: 'Biases of quantized ONNX layers as floats, which ONNX Runtime makes integers again as it loads',
      type: 'boolean',
      default: true,
    },
  ],
  run: runCompact,
};

async function runCompact(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  const options = readOptions(compact.options, values);
  const { layers } = context;
  const allowed = (node: Node) => layers === undefined || layers.has(node.id);
  const notes: string[] = [];
  let start = model;
  if (options.boolean('biases') && model.dialect === 'onnx') {
    const editor = new GraphEditor(model.graphs[0], model);
    const biases = floatBiases(model.graphs[0], editor, allowed);
    if (biases > 0) {
      start = withMainGraph(model, editor.finish());
      notes.push(
        `${biases} int32 biases are floats now; ONNX Runtime 1.21 and later quantize them while loading`,
      );
    }
  }
  const graph = start.graphs[0];
  const editor = new GraphEditor(graph, start);
  const bits = options.number('bits');
  const { uses } = indexOf(graph);
  const readers = new Set<Node>();
  let elements = 0;
  const chosen = shortenable(graph, allowed, options.number('smallest'));
  for (const [done, value] of chosen.entries()) {
    await context.step(done / chosen.length, `shortening ${value.name}`);
    const tensor = value.constant as NonNullable<Value['constant']>;
    if (isShort(tensor, bits)) continue;
    const constant = changedTensor(tensor, (floats) => shorten(floats, bits));
    editor.setValue({ ...value, constant });
    for (const { node } of uses.get(value.id) ?? []) readers.add(node);
    elements += sizeOf(tensor);
  }
  for (const node of readers) editor.replaceNode(node.id, [{ ...node }]);
  const result = withMainGraph(start, editor.finish());
  if (elements === 0 && notes.length === 0)
    return resultOf(model, model, [], ['no float constant has more significant bits than that']);
  if (elements > 0)
    notes.push(
      `${elements} numbers keep ${bits} significant bits; the stored file is as large as before and smaller only when compressed`,
    );
  return resultOf(model, result, changedNodes(model.graphs[0], result.graphs[0]), notes);
}

/** Float constants that only chosen layers read, and that no integer bias is tied to. */
function shortenable(graph: Graph, allowed: (node: Node) => boolean, smallest: number): readonly Value[] {
  const { uses, isOutput } = indexOf(graph);
  return [...graph.values.values()].filter((value) => {
    const { constant } = value;
    if (constant?.dtype !== 'float32' || sizeOf(constant) < smallest || !isReadable(constant)) return false;
    const readers = uses.get(value.id) ?? [];
    if (readers.length === 0 || isOutput.has(value.id)) return false;
    return readers.every(({ node, index }) => index >= 0 && allowed(node) && !tied(graph, node, index));
  });
}

/**
 * Scales that something else in the file is computed from: those of biases, those of weights whose layer has an int32
 * bias in their steps, and whatever QuantizeLinear encodes by.
 */
function tied(graph: Graph, node: Node, index: number): boolean {
  if (isOnnxOp(node, 'QuantizeLinear')) return true;
  if (!isOnnxOp(node, 'DequantizeLinear') || index !== 1) return false;
  const { producer, uses } = indexOf(graph);
  if (graph.values.get(node.inputs[0] ?? '')?.constant === undefined) return true;
  const readers = (uses.get(node.outputs[0] ?? '') ?? []).map((use) => use.node);
  return readers.some((reader) => {
    const bias = producer.get(reader.inputs[2] ?? '');
    return bias !== undefined && isOnnxOp(bias, 'DequantizeLinear');
  });
}
