import type { TargetRules } from '../../devices/targets/target.ts';
import type { Node, NodeId, OnnxModel, TfliteModel } from '../../ir/model.ts';
import type { PassContext } from '../pass.ts';
import { bodyNotes } from '../support/bodies.ts';
import { hybridRecurrent, withHybridWeights } from '../quantizeDynamic/tflite.ts';
import type { OnnxPlan } from './onnxPlan.ts';
import { cellKind, cellRefusal } from './cells.ts';
import type { TflitePlan } from './tflitePlan.ts';
import { codesOf } from './tflitePlan.ts';

interface RecurrentLayers {
  readonly model: TfliteModel;
  /** Layers with int8 weights and float activations. */
  readonly hybrid: ReadonlySet<NodeId>;
  readonly notes: readonly string[];
}

/**
 * Recurrent layers of a statically quantized TFLite model that the plan left out, because they have no full-integer form:
 * they get int8 weights against float activations where the target has such kernels, and otherwise stay in float.
 */
export async function recurrentTflite(
  model: TfliteModel,
  plan: TflitePlan,
  rules: TargetRules,
  allowed: (node: Node) => boolean,
  context: PassContext,
): Promise<RecurrentLayers> {
  const isRecurrent = (node: Node) =>
    hybridRecurrent.has(node.op) && allowed(node) && !plan.nodes.has(node.id);
  const all = model.graphs[0].nodes.filter(isRecurrent);
  const options = { perChannelDense: false, smallest: 1024 };
  const { model: result, done } =
    rules.hybrid === false
      ? { model, done: [] }
      : await withHybridWeights(model, options, isRecurrent, context);
  const notes: string[] = [];
  if (done.length > 0)
    notes.push(
      `${layers(done.length, 'has', 'have')} int8 weights and float activations: the kernels quantize their input as they run`,
    );
  if (all.length > done.length) notes.push(`${layers(all.length - done.length, 'stays', 'stay')} in float`);
  const reasons = new Set(all.map((node) => whyNotInteger(model, node, rules)));
  for (const reason of reasons) notes.push(`recurrent, and not on integers alone: ${reason}`);
  return { model: result, hybrid: new Set(done), notes };
}

function whyNotInteger(model: TfliteModel, node: Node, rules: TargetRules): string {
  if (codesOf(rules) === 'int16')
    return `${node.op} takes no 16-bit activations everywhere, so it is left out`;
  if (rules.operators.given?.includes(node.op) !== true && cellKind(node) !== undefined)
    return `${rules.name} has no integer kernel for ${node.op}`;
  return cellRefusal(model, node) ?? 'its input, result or state was not observed';
}

function layers(count: number, one: string, several: string): string {
  return count === 1 ? `1 recurrent layer ${one}` : `${count} recurrent layers ${several}`;
}

/** What static quantization leaves alone in ONNX models: recurrent layers, and the bodies of If and Loop. */
export function leftNotes(model: OnnxModel, plan: OnnxPlan): string[] {
  const isLstm = (node: Node) => node.op === 'LSTM' && !plan.nodes.has(node.id);
  const notes: string[] = [];
  if (model.graphs[0].nodes.some(isLstm))
    notes.push('quantize-dynamic, applied afterwards, gives LSTM int8 weights on ONNX Runtime');
  return [...notes, ...bodyNotes(model)];
}
