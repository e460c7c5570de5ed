import type { Model, Node } from '../ir/model.ts';
import type { OpFamily } from '../ops/operator.ts';
import { operatorOf } from '../ops/registry.ts';
import { analyse } from './analyse.ts';
import type { Matching } from './match.ts';
import { executionOrder } from './order.ts';
import type { LayerCost } from './report.ts';

/**
 * Matches the layers of an ONNX model with those of a TFLite model. Names seldom survive a conversion, and layouts and
 * operator names never do; the order of the work and its amounts do. Layers that multiply are aligned first, as the
 * longest common subsequence of their amounts (Needleman and Wunsch's recurrence); between two aligned layers the others
 * are paired by family in their order. Converters add and drop what moves or converts data, so that is left unmatched.
 */
export function matchAcross(a: Model, b: Model): Matching {
  const forward = new Map<Node, Node>();
  const backward = new Map<Node, Node>();
  const [left, right] = [stepsOf(a), stepsOf(b)];
  const pair = (from: Step, to: Step) => {
    forward.set(from.node, to.node);
    backward.set(to.node, from.node);
  };
  const anchors = commonSubsequence(
    left.filter((step) => step.amount !== undefined),
    right.filter((step) => step.amount !== undefined),
  );
  for (const [from, to] of anchors) pair(from, to);
  pairBetween(left, right, anchors, pair);
  return { forward, backward };
}

interface Step {
  readonly node: Node;
  readonly place: number;
  readonly family: OpFamily;
  /** What a layer that multiplies does, the same in both formats; absent for the others. */
  readonly amount: string | undefined;
}

const multiplying: ReadonlySet<OpFamily> = new Set(['convolution', 'matmul', 'recurrent', 'attention']);

function stepsOf(model: Model): readonly Step[] {
  const costs = new Map<string, LayerCost>(analyse(model).layers.map((layer) => [layer.id, layer]));
  return executionOrder(model.graphs[0]).nodes.map((node, place) => {
    const family = operatorOf(model, node)?.family ?? 'other';
    const macs = multiplying.has(family) ? costs.get(node.id)?.macs : undefined;
    return { node, place, family, amount: macs === undefined || macs === 0 ? undefined : `${macs}` };
  });
}

/** Beyond this many pairs only layers at the same place are compared. */
const mostPairs = 4_000_000;

function commonSubsequence(a: readonly Step[], b: readonly Step[]): readonly (readonly [Step, Step])[] {
  if (a.length * b.length > mostPairs) return atSamePlace(a, b);
  const width = b.length + 1;
  const best = new Int32Array((a.length + 1) * width);
  const at = (i: number, j: number) => best[i * width + j] as number;
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const same = a[i]?.amount === b[j]?.amount;
      best[i * width + j] = same ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  const pairs: (readonly [Step, Step])[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i]?.amount === b[j]?.amount) pairs.push([a[i++] as Step, b[j++] as Step]);
    else if (at(i + 1, j) >= at(i, j + 1)) i += 1;
    else j += 1;
  }
  return pairs;
}

function atSamePlace(a: readonly Step[], b: readonly Step[]): readonly (readonly [Step, Step])[] {
  return a.flatMap((step, index) => {
    const other = b[index];
    return other !== undefined && other.amount === step.amount ? [[step, other] as const] : [];
  });
}

/** Families that converters write anew as they need them. */
const incidental: ReadonlySet<OpFamily> = new Set([
  'movement',
  'shape',
  'constant',
  'quantization',
  'control',
]);

function pairBetween(
  left: readonly Step[],
  right: readonly Step[],
  anchors: readonly (readonly [Step, Step])[],
  pair: (from: Step, to: Step) => void,
): void {
  const ends = [...anchors, undefined];
  let [from, to] = [0, 0];
  for (const end of ends) {
    const [untilLeft, untilRight] = [end?.[0].place ?? left.length, end?.[1].place ?? right.length];
    const waiting = right.slice(to, untilRight).filter(isOrdinary);
    for (const step of left.slice(from, untilLeft).filter(isOrdinary)) {
      const index = waiting.findIndex((other) => other.family === step.family);
      if (index < 0) continue;
      pair(step, waiting[index] as Step);
      waiting.splice(0, index + 1);
    }
    [from, to] = [untilLeft + 1, untilRight + 1];
  }
}

const isOrdinary = (step: Step) => step.amount === undefined && !incidental.has(step.family);
