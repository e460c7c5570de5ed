import type { Model, Node, NodeId, ValueId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import { operatorOf } from '../../ops/registry.ts';

/** A layer that is better left as it is, and why. */
export interface KeepOut {
  readonly id: NodeId;
  readonly reason: string;
  /** Whether it is left out without asking: where a measurement of the outputs says little. */
  readonly applied: boolean;
}

/** Operators that turn scores into lists of boxes. */
const selections = new Set([
  'NonMaxSuppression',
  'TopK',
  'TFLite_Detection_PostProcess',
  'NON_MAX_SUPPRESSION_V4',
  'NON_MAX_SUPPRESSION_V5',
  'TOPK_V2',
]);

/** Operators between a detector's last convolutions and its outputs. */
const shaping = new Set(
  (
    'Reshape Transpose Concat Sigmoid Softmax Split Slice Mul Add Sub Div Exp Flatten Squeeze Unsqueeze Pow Identity ' +
    'Gather Shape Cast RESHAPE TRANSPOSE CONCATENATION LOGISTIC SOFTMAX SPLIT STRIDED_SLICE SLICE MUL ADD SUB DIV EXP ' +
    'SQUEEZE EXPAND_DIMS PACK GATHER CAST'
  ).split(' '),
);

/** As many convolutions with nothing but reshaping behind them are a detector's: several scales, or boxes beside scores. */
const headsOfADetector = 3;

/**
 * Layers that quantization guides tell people to leave alone: the heads of detectors, whose boxes and scores share a
 * tensor and pass through a selection, and the first and the last layer of any model.
 */
export function keepOutsOf(model: Model, targets: readonly Node[]): readonly KeepOut[] {
  const found = new Map<NodeId, KeepOut>();
  for (const id of headsOf(model, new Set(targets.map((node) => node.id))))
    found.set(id, {
      id,
      reason: 'head of a detector: its outputs are selected from, not averaged',
      applied: true,
    });
  const [first] = targets;
  const last = targets.at(-1);
  if (first !== undefined && !found.has(first.id))
    found.set(first.id, {
      id: first.id,
      reason: 'the first layer: few weights, and all errors pass through the rest',
      applied: false,
    });
  if (last !== undefined && !found.has(last.id))
    found.set(last.id, {
      id: last.id,
      reason: 'the last layer: nothing behind it averages its errors',
      applied: false,
    });
  return [...found.values()];
}

function headsOf(model: Model, targets: ReadonlySet<NodeId>): ReadonlySet<NodeId> {
  const [graph] = model.graphs;
  const selects = graph.nodes.some(({ op }) => selections.has(op));
  const starts: ValueId[] = graph.nodes.flatMap((node) =>
    selections.has(node.op) ? node.inputs.filter((id) => id !== null) : [],
  );
  const heads = behind(model, [...graph.outputs, ...starts], targets);
  const convolutions = [...heads].filter((id) => isConvolution(model, id));
  return selects || convolutions.length >= headsOfADetector ? new Set(convolutions) : new Set();
}

function isConvolution(model: Model, id: NodeId): boolean {
  const node = indexOf(model.graphs[0]).node.get(id);
  return node !== undefined && operatorOf(model, node)?.weights?.(node, model)?.[0]?.kind === 'conv';
}

/** The nearest targets in front of some values, with nothing but reshaping and pointwise operators between. */
function behind(model: Model, starts: readonly ValueId[], targets: ReadonlySet<NodeId>): ReadonlySet<NodeId> {
  const { producer } = indexOf(model.graphs[0]);
  const found = new Set<NodeId>();
  const seen = new Set<ValueId>();
  const waiting = [...starts];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    const maker = seen.has(id) ? undefined : producer.get(id);
    seen.add(id);
    if (maker === undefined) continue;
    if (targets.has(maker.id)) found.add(maker.id);
    else if (shaping.has(maker.op) || selections.has(maker.op))
      waiting.push(...maker.inputs.filter((each) => each !== null));
  }
  return found;
}
