import type { TargetRules } from '../../devices/targets/target.ts';
import { intAttribute, intsAttribute } from '../../ir/attribute.ts';
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
