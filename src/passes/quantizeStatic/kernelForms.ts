import type { TargetRules } from '../../devices/targets/target.ts';
import { intAttribute, intsAttribute, stringAttribute } from '../../ir/attribute.ts';
import type { Graph, Node } from '../../ir/model.ts';
import type { Facts } from '../support/facts.ts';

/** `Pad`: zeros up to this many channels; `Tile`: repeated this often along the last axis. */
export interface OnCodes {
  readonly input: number;
  readonly op: 'Pad' | 'Tile';
  readonly to: number;
}

/** What decides on a form: the rules of the target, and what is known of the model. */
interface Around {
  readonly graph: Graph;
  readonly facts: Facts;
  readonly rules: TargetRules;
}

/**
 * The direct convolution kernel of x86 reads four input channels at a time; images of one to three take a detour through
 * a copy of every window, unless they are padded. The weights of the added channels are zeros.
 */
export function paddedInput({ graph, rules }: Around, node: Node): { readonly onCodes?: OnCodes } {
  const dims = graph.values.get(node.inputs[1] ?? '')?.constant?.dims;
  const { layout } = rules;
  if (layout === undefined || node.op !== 'Conv' || intAttribute(node, 'group', 1) !== 1) return {};
  const [outputs = 0, channels = layout.inputs] = dims ?? [];
  if (channels >= layout.inputs || outputs < layout.leastOutputs || outputs % layout.outputs !== 0) return {};
  return { onCodes: { input: 0, op: 'Pad', to: layout.inputs } };
}

/**
 * Scales per channel, as squeeze and excitation has them, meet a feature map pixel by pixel: in the runtime's channels-last
 * layout that is one short run of channels after the other. Repeated over a row, a run is as long as a row.
 */
export function tiledInput(
  { facts, rules }: Around,
  node: Node,
  activations: readonly number[],
): { readonly onCodes?: OnCodes } {
  const dims = facts.typeOf(node.outputs[0])?.shape;
  const width = dims?.[3];
  if (node.op !== 'Mul' || activations.length !== 2 || dims?.length !== 4) return {};
  if (typeof width !== 'number' || width === 1 || rules.layout === undefined) return {};
  if (Number(dims[1] ?? 0) >= rules.layout.rows) return {};
  for (const input of activations) {
    const own = facts.typeOf(node.inputs[input])?.shape;
    if (own?.length === 4 && own[1] === dims[1] && own[2] === 1 && own[3] === 1) {
      return { onCodes: { input, op: 'Tile', to: width } };
    }
  }
  return {};
}

/**
 * Columns of a map that lie beside each other in memory, channels last, as channels of one: the same bytes under another
 * shape. `columns` of the input meet filters that give `results` columns of the output at once.
 */
export interface Folding {
  readonly columns: number;
  readonly results: number;
  /** Columns and channels as they were. */
  readonly widths: readonly [input: number, output: number];
  readonly channels: readonly [input: number, output: number];
  /** Rows of a window. */
  readonly rows: number;
  /** Columns between the windows of two results, and between the weights of a window. */
  readonly stride: number;
  readonly dilation: number;
  /** Columns of padding before the first. */
  readonly before: number;
  /** The first and the last group that a group of results reads, seen from its own. */
  readonly reach: readonly [first: number, last: number];
}

/**
 * Convolutions of few channels leave most of the direct kernel idle: it takes four input channels per step and 64 filters at
 * once, and every place of the window costs its own start. Folded, a step reads neighbouring columns, at the price of products
 * with zeros; the target says how many times the products may become.
 */
export function foldedColumns({ graph, facts, rules }: Around, node: Node): Folding | undefined {
  const { layout } = rules;
  const dims = graph.values.get(node.inputs[1] ?? '')?.constant?.dims ?? [];
  const [filters = 0, channels = 0, rows = 0, width = 0] = dims;
  const input = facts.typeOf(node.inputs[0])?.shape?.[3];
  const output = facts.typeOf(node.outputs[0])?.shape?.[3];
  const folding = layout?.folding;
  if (layout === undefined || folding === undefined || node.op !== 'Conv' || dims.length !== 4)
    return undefined;
  if (channels >= layout.inputs) return undefined;
  if (typeof input !== 'number' || typeof output !== 'number' || intAttribute(node, 'group', 1) !== 1)
    return undefined;
  if (stringAttribute(node, 'auto_pad', 'NOTSET') !== 'NOTSET') return undefined;
  const stride = intsAttribute(node, 'strides')?.[1] ?? 1;
  const dilation = intsAttribute(node, 'dilations')?.[1] ?? 1;
  const before = intsAttribute(node, 'pads')?.[1] ?? 0;
  // The fewest columns that are whole strides and fill whole steps.
  let columns = stride;
  while ((columns * channels) % layout.inputs !== 0) columns += stride;
  const results = columns / stride;
  if (input % columns !== 0 || output * stride !== input || results * filters < layout.leastOutputs)
    return undefined;
  const last = stride * (results - 1) - before + dilation * (width - 1);
  const reach = [Math.floor(-before / columns), Math.floor(last / columns)] as const;
  const steps = ((reach[1] - reach[0] + 1) * columns * channels) / layout.inputs;
  const blocks = (count: number) => Math.ceil(count / folding.lanes);
  if (steps * blocks(results * filters) > folding.products * results * width * blocks(filters))
    return undefined;
  const sizes = { widths: [input, output], channels: [channels, filters] } as const;
  return { columns, results, ...sizes, rows, stride, dilation, before, reach };
}

/**
 * The zero point that keeps a large layer's weights out of a slower kernel. The faster one multiplies matrices: its result
 * goes through wider sums, which costs by the result, and windows that are no single positions are copied first, which costs
 * by the input; both pay in layers with many products per result, the latter with many filters only.
 */
export function shiftedWeight({ graph, facts, rules }: Around, node: Node): { readonly weightZero?: number } {
  const { shift } = rules.weights;
  const dims = graph.values.get(node.inputs[1] ?? '')?.constant?.dims;
  if (shift === undefined || dims === undefined || !shift.operators.includes(node.op)) return {};
  if (intAttribute(node, 'group', 1) !== 1) return {};
  const [filters = 0, ...window] = dims;
  const places = facts.typeOf(node.outputs[0])?.shape?.slice(2) ?? [];
  // Where the size is open, images are large.
  const positions = product(places.map((dim) => (typeof dim === 'number' ? dim : Infinity)));
  if (product(window) < shift.products || positions < shift.positions) return {};
  const isPlain =
    window.slice(1).every((dim) => dim === 1) &&
    (intsAttribute(node, 'strides') ?? []).every((step) => step === 1) &&
    (intsAttribute(node, 'pads') ?? []).every((pad) => pad === 0);
  return isPlain || filters >= shift.windowFilters ? { weightZero: shift.zeroPoint } : {};
}

function product(factors: readonly number[]): number {
  return factors.reduce((all, factor) => all * factor, 1);
}
