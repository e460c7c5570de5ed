import type { Attribute } from '../ir/attribute.ts';
import { attr } from '../ir/attribute.ts';
import { GraphEditor } from '../ir/edit.ts';
import type { Node, NodeId, OnnxModel, ValueId } from '../ir/model.ts';
import { withMainGraph } from '../ir/model.ts';
import { floatTensor, intTensor } from '../ir/numbers.ts';
import { tensorType } from '../ir/types.ts';
import type { DenseLayer } from '../passes/support/denseLayer.ts';
import { factsOf } from '../passes/support/facts.ts';
import { opsetOf } from '../passes/support/graph.ts';

/** A model whose only outputs are sums over the columns that some layers' weights meet. */
export interface ColumnModel {
  readonly model: OnnxModel;
  /** Per layer: the sum of x xT, the sum of x, and the shape of the matrix of all columns. */
  readonly outputs: ReadonlyMap<
    NodeId,
    { readonly gram: string; readonly sum: string; readonly shape: string }
  >;
}

/** Feature maps with more positions than this are sampled on a grid. */
const mostPositions = 1024;

/**
 * Adds behind each layer's input what sums its columns, so that only `inputs` x `inputs` numbers leave the runtime. The
 * patches of a convolution come from a depthwise convolution with one filter per tap, which reads one element: padding,
 * strides and dilations are then the layer's own, in every opset. The original outputs are gone.
 */
export function withColumnOutputs(model: OnnxModel, layers: readonly DenseLayer[]): ColumnModel {
  const [graph] = model.graphs;
  const editor = new GraphEditor(graph, model);
  const outputs = new Map<NodeId, { gram: string; sum: string; shape: string }>();
  const added: Node[] = [];
  const add = (op: string, inputs: readonly ValueId[], attributes: Attributes = {}): ValueId => {
    const output = editor.addValue(`${inputs[0]}_kerf_${op}`, { type: tensorType('float32') });
    const id = editor.freshNode(`${output}_node`);
    const entries = new Map(Object.entries(attributes));
    added.push({ id, name: id, op, domain: '', inputs, outputs: [output], attributes: entries });
    return output;
  };
  const sumAxis =
    opsetOf(model) >= 13 ? [editor.addConstant('kerf_sum_axis', intTensor('int64', [1], [1]))] : [];
  const sumAttributes = { keepdims: attr.int(0), ...(sumAxis.length === 0 && { axes: attr.ints([1]) }) };
  for (const layer of layers) {
    const columns = layer.kind === 'conv' ? patches(model, layer, editor, add) : rows(model, layer, add);
    const turned = add('Transpose', [columns], { perm: attr.ints([1, 0]) });
    const gram = add('MatMul', [columns, turned]);
    const sum = add('ReduceSum', [columns, ...sumAxis], sumAttributes);
    const shape = add('Shape', [columns]);
    editor.setValue({ id: shape, name: shape, type: tensorType('int64', [2]) });
    outputs.set(layer.node.id, { gram, sum, shape });
  }
  const last = graph.nodes.at(-1);
  if (last !== undefined) editor.insertAfter(last.id, added);
  editor.setOutputs([...outputs.values()].flatMap(({ gram, sum, shape }) => [gram, sum, shape]));
  return { model: withMainGraph(model, editor.finish()), outputs };
}

type Attributes = Readonly<Record<string, Attribute>>;
type Add = (op: string, inputs: readonly ValueId[], attributes?: Attributes) => ValueId;

/** The rows of the last axis, as columns. */
function rows(model: OnnxModel, { activation }: DenseLayer, add: Add): ValueId {
  const rank = factsOf(model).typeOf(activation)?.shape?.length ?? 2;
  const flat = add('Flatten', [activation], { axis: attr.int(rank - 1) });
  return add('Transpose', [flat], { perm: attr.ints([1, 0]) });
}

function patches(model: OnnxModel, layer: DenseLayer, editor: GraphEditor, add: Add): ValueId {
  const { node, weight, activation, weightId } = layer;
  const [, channels = 1, ...kernel] = weight.dims;
  const taps = layer.inputs / channels;
  const filters = new Float32Array(channels * taps * taps);
  for (let filter = 0; filter < channels * taps; filter += 1) filters[filter * taps + (filter % taps)] = 1;
  const selector = editor.addConstant(
    `${weightId}_kerf_taps`,
    floatTensor([channels * taps, 1, ...kernel], filters),
  );
  const window = add('Conv', [activation, selector], {
    ...Object.fromEntries(node.attributes),
    group: attr.int(channels),
    kernel_shape: attr.ints(kernel),
  });
  const step = gridStep(model, layer);
  const ones = kernel.map(() => 1);
  const grid =
    step === 1
      ? window
      : add('MaxPool', [window], {
          kernel_shape: attr.ints(ones),
          strides: attr.ints(kernel.map(() => step)),
        });
  const turned = add('Transpose', [grid], { perm: attr.ints([1, 0, ...kernel.map((_, i) => i + 2)]) });
  return add('Flatten', [turned], { axis: attr.int(1) });
}

function gridStep(model: OnnxModel, { node }: DenseLayer): number {
  const spatial = factsOf(model).typeOf(node.outputs[0])?.shape?.slice(2) ?? [];
  const positions = spatial.reduce<number>(
    (product, dim) => product * (typeof dim === 'number' ? dim : 1),
    1,
  );
  return Math.max(1, Math.ceil((positions / mostPositions) ** (1 / Math.max(1, spatial.length))));
}
