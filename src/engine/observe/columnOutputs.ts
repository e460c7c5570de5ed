import type { Density, Builder } from './columnBuilder.ts';
import type { Node, NodeId, OnnxModel, ValueId } from '../../ir/model.ts';
import { attr } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import { withMainGraph } from '../../ir/model.ts';
import { floatTensor, intTensor } from '../../ir/numbers.ts';
import { tensorType } from '../../ir/types.ts';
import type { DenseLayer } from '../../passes/support/denseLayer.ts';
import { factsOf } from '../../passes/support/facts.ts';
import { opsetOf } from '../../passes/support/graph.ts';
import { slicedPatches } from './slicedPatches.ts';

/** A layer whose columns are summed, and the one that it is compared with. */
export interface Observed {
  readonly layer: DenseLayer;
  readonly reference?: {
    readonly model: OnnxModel;
    readonly layer: DenseLayer;
    /** The name under which its activation is fed. */
    readonly input: string;
  };
}

/** Names of the outputs that belong to one layer; the last two exist when it has a reference. */
export interface ColumnNames {
  readonly gram: string;
  readonly sum: string;
  readonly shape: string;
  readonly cross?: string;
  readonly referenceSum?: string;
}

/** A model whose only outputs are sums over the columns that some layers' weights meet. */
export interface ColumnModel {
  readonly model: OnnxModel;
  /** `shape` is that of all columns of a layer: groups, elements, vectors. */
  readonly outputs: ReadonlyMap<NodeId, ColumnNames>;
}

/** Feature maps with more positions than this are sampled on a grid. */
const mostPositions = 1024;

/**
 * Adds behind each layer's input what sums its columns, so that only `inputs` x `inputs` numbers leave the runtime. The
 * patches of a convolution are cut out of its padded input, tap by tap; where its padding or size is not known beforehand,
 * they come from a depthwise convolution with one filter per tap, which reads one element: padding, strides and dilations
 * are then the layer's own. The original outputs are gone.
 */
export function withColumnOutputs(
  model: OnnxModel,
  layers: readonly Observed[],
  density: Density = () => mostPositions,
): ColumnModel {
  const [graph] = model.graphs;
  const build = builderOf(model, density);
  const { editor, add } = build;
  const outputs = new Map<NodeId, ColumnNames>();
  for (const { layer, reference } of layers) {
    const columns = columnsOf(model, layer, layer.activation, build);
    const turned = add('Transpose', [columns], { perm: attr.ints([0, 2, 1]) });
    const gram = add('MatMul', [columns, turned]);
    const sum = build.total(columns);
    const shape = add('Shape', [columns]);
    editor.setValue({ id: shape, name: shape, type: tensorType('int64', [3]) });
    if (reference === undefined) outputs.set(layer.node.id, { gram, sum, shape });
    else {
      const fed = build.input(reference.input);
      const others = columnsOf(reference.model, reference.layer, fed, build);
      const cross = add('MatMul', [others, turned]);
      outputs.set(layer.node.id, { gram, sum, shape, cross, referenceSum: build.total(others) });
    }
  }
  build.finish();
  editor.setInputs([...graph.inputs, ...build.inputs]);
  editor.setOutputs([...outputs.values()].flatMap((names) => Object.values(names) as string[]));
  return { model: withMainGraph(model, editor.finish()), outputs };
}

function builderOf(model: OnnxModel, density: Density): Builder {
  const [graph] = model.graphs;
  const editor = new GraphEditor(graph, model);
  const added: Node[] = [];
  const inputs: ValueId[] = [];
  const axes =
    opsetOf(model) >= 13 ? [editor.addConstant('kerf_sum_axis', intTensor('int64', [1], [2]))] : [];
  const sumAttributes = { keepdims: attr.int(0), ...(axes.length === 0 && { axes: attr.ints([2]) }) };
  const add: Builder['add'] = (op, from, attributes = {}) => {
    const output = editor.addValue(`${from[0]}_kerf_${op}`, { type: tensorType('float32') });
    const id = editor.freshNode(`${output}_node`);
    const entries = new Map(Object.entries(attributes));
    added.push({ id, name: id, op, domain: '', inputs: from, outputs: [output], attributes: entries });
    return output;
  };
  return {
    density,
    editor,
    inputs,
    add,
    input(name) {
      if (graph.inputs.includes(name) || inputs.includes(name)) return name;
      editor.setValue({ id: name, name, type: tensorType('float32') });
      inputs.push(name);
      return name;
    },
    total: (columns) => add('ReduceSum', [columns, ...axes], sumAttributes),
    finish() {
      const last = graph.nodes.at(-1);
      if (last === undefined) editor.insertFirst(added);
      else editor.insertAfter(last.id, added);
    },
  };
}

/** The columns of all groups, `groups` x `inputs` x vectors. */
function columnsOf(model: OnnxModel, layer: DenseLayer, activation: ValueId, build: Builder): ValueId {
  const flat =
    layer.kind === 'conv' ? patches(model, layer, activation, build) : rows(model, layer, activation, build);
  const { editor, add } = build;
  const shape = editor.addConstant('kerf_groups', intTensor('int64', [3], [layer.groups, layer.inputs, -1]));
  return add('Reshape', [flat, shape]);
}

/** The rows of the last axis, as columns. */
function rows(model: OnnxModel, layer: DenseLayer, activation: ValueId, { add }: Builder): ValueId {
  const rank = factsOf(model).typeOf(layer.activation)?.shape?.length ?? 2;
  const flat = add('Flatten', [activation], { axis: attr.int(rank - 1) });
  return add('Transpose', [flat], { perm: attr.ints([1, 0]) });
}

function patches(model: OnnxModel, layer: DenseLayer, activation: ValueId, build: Builder): ValueId {
  const { editor, add } = build;
  const { node, weight, weightId, groups } = layer;
  const kernel = weight.dims.slice(2);
  const channels = (weight.dims[1] as number) * groups;
  const taps = kernel.reduce((product, dim) => product * dim, 1);
  const step = gridStep(model, layer, build.density(layer));
  const cut = slicedPatches(model, layer, activation, step, build);
  if (cut !== undefined) return cut;
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

function gridStep(model: OnnxModel, { node }: DenseLayer, mostPositions: number): number {
  const spatial = factsOf(model).typeOf(node.outputs[0])?.shape?.slice(2) ?? [];
  const positions = spatial.reduce<number>(
    (product, dim) => product * (typeof dim === 'number' ? dim : 1),
    1,
  );
  return Math.max(1, Math.ceil((positions / mostPositions) ** (1 / Math.max(1, spatial.length))));
}
