import { byteSize } from '../ir/dtype.ts';
import { targetOfDevice } from '../devices/targets/registry.ts';
import type { Graph, Model, Node, NodeId } from '../ir/model.ts';
import { sizeOf } from '../ir/numbers.ts';
import { indexOf } from '../ir/walk.ts';
import type { WeightRole } from '../ops/operator.ts';
import { operatorOf } from '../ops/registry.ts';
import { layerConstants } from '../passes/fp16/storage.ts';
import { hybridRecurrent } from '../passes/quantizeDynamic/tflite.ts';
import { passById } from '../passes/registry.ts';
import { weightsOf } from './places.ts';
import type { Fix, RuleContext } from './rule.ts';

/** Weights below this stay in float under the defaults of the passes that go by it. */
const smallest = 1024;

/** Bytes that a node with its names takes in an ONNX file beside its tensors. */
const nodeBytes = 60;

/** Bytes by which the file should shrink; `undefined` for passes that nobody can tell it of beforehand. */
export function predictBytes(context: RuleContext, fix: Fix, removed: readonly NodeId[]): number | undefined {
  switch (fix.pass) {
    case 'quantize-static':
      return (
        sum(reached(context, fix), (weight) => savedByStatic(weight, context)) - activations(context, fix)
      );
    case 'quantize-dynamic':
      return sum(large(reached(context, fix)), (weight) => 3 * weight.elements - scales(weight, context, 1));
    case 'quantize-weights': {
      const bits = fix.options['bits'] === '4' ? 4 : 8;
      return sum(large(reached(context, fix)), (weight) => {
        return (4 - bits / 8) * weight.elements - scales(weight, context, 1);
      });
    }
    case 'fp16':
      if (context.model.dialect === 'tflite') return savedByLayerHalves(context, fix);
      return fix.layers === undefined ? savedByHalves(context) : halves(reached(context, fix), context);
    case 'bf16':
      return halves(reached(context, fix), context);
    case 'simplify':
    case 'fuse':
      return removed.length === 0 ? undefined : bytesOfLayers(context, removed);
    default:
      return undefined;
  }
}

/** A float32 weight that a pass reaches. */
interface Reached {
  readonly kind: WeightRole['kind'];
  readonly elements: number;
  readonly channels: number;
}

/** Float32 weights of the layers that the pass works on, each once. */
function reached(context: RuleContext, fix: Fix): readonly Reached[] {
  const { model } = context;
  const pass = passById(fix.pass);
  const only = fix.layers === undefined ? undefined : new Set(fix.layers);
  const taken = (node: Node) => only?.has(node.id) !== false && pass?.appliesTo?.(node, model) !== false;
  const seen = new Set<object>();
  const direct = new Set<NodeId>();
  const recurrent = isHybrid(context, fix.pass) ? recurrentWeights(model, only) : [];
  const weights = [...weightsOf(model)].flatMap(({ node, tensor, role }): readonly Reached[] => {
    direct.add(node.id);
    if (tensor.dtype !== 'float32' || seen.has(tensor) || !taken(node)) return [];
    seen.add(tensor);
    const channels = tensor.dims[role.outputAxis] ?? 1;
    return [{ kind: role.kind, elements: sizeOf(tensor), channels }];
  });
  // Half precision for chosen layers takes their own constants, not what has to be computed first.
  if (fix.pass === 'fp16') return weights;
  return [...weights, ...recurrent, ...hidden(context, (node) => taken(node) && !direct.has(node.id))];
}

/** Whether a pass gives recurrent layers of TFLite int8 weights against float activations. */
function isHybrid({ model, device, target }: RuleContext, pass: string): boolean {
  if (model.dialect !== 'tflite') return false;
  const rules = target ?? (device === undefined ? undefined : targetOfDevice(device, 'tflite'));
  return pass === 'quantize-dynamic' || (pass === 'quantize-static' && rules?.hybrid !== false);
}

function recurrentWeights(model: Model, only: ReadonlySet<NodeId> | undefined): readonly Reached[] {
  const [graph] = model.graphs;
  return graph.nodes.flatMap((node): readonly Reached[] => {
    if (!hybridRecurrent.has(node.op) || only?.has(node.id) === false) return [];
    const tensors = (operatorOf(model, node)?.weights?.(node, model) ?? []).flatMap(
      ({ input }) => graph.values.get(node.inputs[input] ?? '')?.constant ?? [],
    );
    const elements = tensors.reduce((total, tensor) => total + sizeOf(tensor), 0);
    if (elements < smallest || tensors.some(({ dtype }) => dtype !== 'float32')) return [];
    return [{ kind: 'matmul', elements, channels: 1 }];
  });
}

/** Weights behind a transposition or a reshape, which the passes compute beforehand: known by what the layer costs. */
function hidden({ model, analysis }: RuleContext, taken: (node: Node) => boolean): readonly Reached[] {
  const graph = model.graphs[0];
  const { node } = indexOf(graph);
  return analysis.layers.flatMap((layer): readonly Reached[] => {
    const place = node.get(layer.id);
    if (place === undefined || layer.weightBytes === 0 || layer.weightBytes < layer.params * 4) return [];
    const [role] = operatorOf(model, place)?.weights?.(place, model) ?? [];
    if (role === undefined || role.kind === 'recurrent' || role.kind === 'embedding' || !taken(place))
      return [];
    const type = analysis.types.get(graph)?.get(place.outputs[0] ?? '');
    const channels = type?.kind === 'tensor' ? Number(type.shape?.at(-1) ?? 1) : 1;
    return [{ kind: role.kind, elements: layer.params, channels: Number.isFinite(channels) ? channels : 1 }];
  });
}

function large(weights: readonly Reached[]): readonly Reached[] {
  return weights.filter(({ elements }) => elements >= smallest);
}

function sum(weights: readonly Reached[], saved: (weight: Reached) => number): number {
  return Math.max(
    0,
    weights.reduce((total, weight) => total + saved(weight), 0),
  );
}

function halves(weights: readonly Reached[], context: RuleContext): number {
  return sum(weights, ({ elements }) => Math.max(0, 2 * elements - overhead(context)));
}

/** Elements of the smallest constant that ONNX models store in half precision. */
const leastHalved = 512;

/** What changes in a TFLite file that is written anew: operator codes, alignment. */
const rewritten = 200;

/** TFLite stores the weights and biases of whole layers in float16, each behind a DEQUANTIZE with a tensor of its own. */
function savedByLayerHalves({ model }: RuleContext, { layers }: Fix): number {
  const [graph] = model.graphs;
  const only = layers === undefined ? undefined : new Set(layers);
  let saved = -rewritten;
  for (const id of layerConstants(model, graph, (node) => only?.has(node.id) !== false)) {
    const { constant, name = id } = graph.values.get(id) ?? {};
    if (constant !== undefined) saved += 2 * sizeOf(constant) - 160 - name.length;
  }
  return Math.max(0, saved);
}

/** Storage in float16 takes every float constant of the main graph that is large enough, recurrent weights included. */
function savedByHalves(context: RuleContext): number {
  const { model } = context;
  const graph = model.graphs[0];
  let saved = 0;
  for (const { constant } of graph.values.values()) {
    if (constant?.dtype !== 'float32') continue;
    const elements = sizeOf(constant);
    if (elements >= leastHalved) saved += 2 * elements - overhead(context);
  }
  return saved > 0 ? saved : halves(reached(context, { pass: 'fp16', options: {}, title: '' }), context);
}

/** Scales and zero points of weights and bias, against three bytes per element. */
function savedByStatic(weight: Reached, context: RuleContext): number {
  return 3 * weight.elements - scales(weight, context, 2);
}

/** Per channel: TFLite stores a float and an int64, ONNX a float and a code (for the bias a float and an int32). */
function scales(weight: Reached, context: RuleContext, tensors: number): number {
  const { model } = context;
  if (model.dialect === 'tflite') {
    const perChannel = weight.kind !== 'matmul';
    return (perChannel ? 12 * weight.channels : 12) * tensors;
  }
  return (tensors === 1 ? 5 : 13) * weight.channels + tensors * overhead(context);
}

/** A dequantization with its operands, by the length of the names in the file. */
function overhead({ model }: RuleContext): number {
  return model.dialect === 'tflite' ? 60 : nodeBytes + 4 * nameLength(model.graphs[0]);
}

const lengths = new WeakMap<Graph, number>();

function nameLength(graph: Graph): number {
  let length = lengths.get(graph);
  if (length === undefined) {
    let total = 0;
    for (const id of graph.values.keys()) total += id.length;
    length = total / Math.max(1, graph.values.size);
    lengths.set(graph, length);
  }
  return length;
}

/** What quantizing activations adds: two nodes and two constants each in ONNX, a small table in TFLite. */
function activations(context: RuleContext, { layers }: Fix): number {
  const { model } = context;
  const places = layers?.length ?? model.graphs[0].nodes.length;
  return model.dialect === 'tflite' ? rewritten + 40 * places : 1.5 * places * overhead(context);
}

/** Bytes of the constants that only these layers read, and of their nodes. */
function bytesOfLayers({ model }: RuleContext, removed: readonly NodeId[]): number {
  const graph = model.graphs[0];
  const gone = new Set(removed);
  const { uses, node } = indexOf(graph);
  const counted = new Set<string>();
  let bytes = 0;
  for (const id of removed) {
    const layer = node.get(id);
    if (layer === undefined) continue;
    bytes += nodeBytes + layer.name.length;
    for (const name of [...layer.inputs, ...layer.outputs]) bytes += (name?.length ?? 0) + 2;
    for (const input of layer.inputs) {
      const constant = input === null ? undefined : graph.values.get(input)?.constant;
      if (input === null || constant === undefined || counted.has(input)) continue;
      counted.add(input);
      if ((uses.get(input) ?? []).every((use) => gone.has(use.node.id)))
        bytes += (byteSize(constant.dtype, sizeOf(constant)) ?? 0) + input.length + 12;
    }
    bytes -= addedBias(graph, layer);
  }
  return bytes;
}

/** What is folded into a layer without a bias leaves one behind. */
function addedBias(graph: Graph, folded: Node): number {
  const [data, scale] = folded.inputs;
  const before = folded.op === 'BatchNormalization' ? indexOf(graph).producer.get(data ?? '') : undefined;
  const has = before?.inputs[2] !== undefined && before.inputs[2] !== null;
  const constant = graph.values.get(scale ?? '')?.constant;
  return before === undefined || has || constant === undefined ? 0 : 4 * sizeOf(constant) + nodeBytes;
}
