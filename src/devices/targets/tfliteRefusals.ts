import type { Node, Quantization, ValueId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { WeightRole } from '../../ops/operator.ts';
import type { Subject } from './subject.ts';
import type { IntegerType, OperatorRule } from './target.ts';
import { againstFloat, computesInFloat, operatorRule } from './target.ts';

const converters = new Set(['QUANTIZE', 'DEQUANTIZE']);

/** Checks types, scales and zero points of a TFLite model against the rules. */
export function tfliteRefusals(subject: Subject): void {
  const { graph, rules, refuse, dtypeOf } = subject;
  const isQuantized = graph.nodes.some((node) => node.outputs.some((id) => encodingOf(subject, id)));
  if (rules.border === 'integer' && isQuantized) {
    // What computes floats itself is named below; here is what only hands them over.
    const handedOver = (id: ValueId) => {
      const made = indexOf(graph).producer.get(id);
      return made === undefined || converters.has(made.op);
    };
    for (const id of [...graph.inputs, ...graph.outputs].filter(handedOver))
      if (dtypeOf(id) === 'float32') refuse(undefined, 'numbers', `${id} must hold integers, not floats`);
  }
  for (const node of graph.nodes) {
    if (converters.has(node.op) && node.domain === '') continue;
    if (node.outputs.some((id) => dtypeOf(id) === 'float32')) checkFloat(subject, node, isQuantized);
    else checkInteger(subject, node);
  }
}

function checkFloat({ rules, graph, refuse }: Subject, node: Node, isQuantized: boolean): void {
  const hybrid = node.inputs.some((id) => {
    const dtype = graph.values.get(id ?? '')?.constant?.dtype;
    return dtype === 'int8' || dtype === 'int4';
  });
  if (rules.elsewhere === 'processor') refuse(node, 'processor', computesInFloat);
  else if (hybrid && rules.hybrid === false)
    refuse(node, 'refused', `${node.op} has no kernel for integer weights ${againstFloat}`);
  else if (isQuantized) refuse(node, 'float', `${node.op} computes in float`);
}

function checkInteger(subject: Subject, node: Node): void {
  const { rules, refuse } = subject;
  const role = operatorOf(subject.model, node)?.weights?.(node, subject.model)[0];
  const flowing = node.inputs.filter(
    (id, index): id is ValueId => id !== null && index !== role?.input && index !== role?.bias,
  );
  const inputs = flowing.flatMap((id) => encodingOf(subject, id) ?? []);
  const outputs = node.outputs.flatMap((id) => encodingOf(subject, id) ?? []);
  // Shapes, indices and masks have no scale, and nothing is asked of them.
  if (inputs.length === 0 && outputs.length === 0) return;
  const type = subject.dtypeOf(flowing[0]) as IntegerType;
  if (rules.operators.given?.includes(node.op) === true) return;
  const rule = node.domain === '' ? operatorRule(rules, node.op, type) : undefined;
  if (rule === undefined) {
    const kind = rules.elsewhere === 'processor' ? 'processor' : 'refused';
    const what = node.domain === '' ? node.op : `the custom operator ${node.op}`;
    refuse(node, kind, `it has no integer kernel for ${what}`);
    return;
  }
  if (isWideSoftmax(subject, node)) return;
  const { types, symmetric } = rules.activations;
  for (const id of [...flowing, ...node.outputs]) {
    const encoding = id === null ? undefined : encodingOf(subject, id);
    const dtype = subject.dtypeOf(id);
    if (encoding === undefined || id === null || dtype === undefined) continue;
    if (!types.some((each) => each === dtype)) {
      refuse(node, 'numbers', `its activations are ${dtype}; the kernels take ${types.join(' and ')}`);
      return;
    }
    const needsZero = symmetric === true || dtype === 'int16';
    if (needsZero && encoding.zeroPoint.some((zero) => zero !== 0))
      refuse(node, 'numbers', `its ${dtype} activations have a zero point; the kernels take symmetric ones`);
    checkShape(subject, node, id);
  }
  if (role !== undefined) checkWeight(subject, node, role);
  checkScales(subject, node, rule, flowing, outputs);
}

/**
 * Softmax of int8 to all of int16, which LiteRT and its Micro runtime have a kernel for: the scale is 2^-16, the zero point the
 * least code.
 */
function isWideSoftmax(subject: Subject, { op, inputs, outputs }: Node): boolean {
  const [output = null] = outputs;
  const encoding = encodingOf(subject, output);
  return (
    op === 'SOFTMAX' &&
    subject.rules.elsewhere === 'float' &&
    subject.dtypeOf(inputs[0]) === 'int8' &&
    subject.dtypeOf(output) === 'int16' &&
    encoding !== undefined &&
    Math.abs((encoding.scale[0] ?? 0) * 2 ** 16 - 1) < 1e-3 &&
    encoding.zeroPoint[0] === -(2 ** 15)
  );
}

function checkShape({ rules, graph, refuse }: Subject, node: Node, id: ValueId): void {
  const type = graph.values.get(id)?.type;
  const shape = type?.kind === 'tensor' ? type.shape : undefined;
  if (rules.maxRank !== undefined && (shape?.length ?? 0) > rules.maxRank)
    refuse(node, 'processor', `it has ${shape?.length} dimensions; the accelerator takes ${rules.maxRank}`);
  if (rules.batch !== undefined && shape?.length === 4 && shape[0] !== rules.batch)
    refuse(node, 'processor', `the accelerator takes batches of ${rules.batch}`);
}

function checkWeight(subject: Subject, node: Node, role: WeightRole): void {
  const { rules, graph, refuse } = subject;
  const value = graph.values.get(node.inputs[role.input] ?? '');
  const { weights } = rules;
  const dtype = value?.constant?.dtype;
  const encoding = value?.quantization;
  if (dtype === undefined || encoding === undefined) return;
  if (!weights.types.some((each) => each === dtype))
    refuse(node, 'numbers', `its weights are ${dtype}; the kernels take ${weights.types.join(' and ')}`);
  if (weights.symmetric && dtype.startsWith('int') && encoding.zeroPoint.some((zero) => zero !== 0))
    refuse(node, 'numbers', 'its weights have a zero point');
  if (encoding.scale.length > 1) {
    if (!weights.perChannel.includes(node.op))
      refuse(node, 'numbers', `${node.op} takes one scale for all its weights`);
    else if (encoding.axis !== role.outputAxis)
      refuse(
        node,
        'numbers',
        `the scales of its weights lie along axis ${encoding.axis}, not ${role.outputAxis}`,
      );
  }
}

function checkScales(
  subject: Subject,
  node: Node,
  rule: OperatorRule,
  flowing: readonly ValueId[],
  outputs: readonly Quantization[],
): void {
  const { refuse } = subject;
  if (rule.kind === 'fixed') {
    const wrong = outputs.some(
      ({ scale, zeroPoint }) =>
        Math.abs((scale[0] ?? 0) / rule.scale - 1) > 1e-5 || zeroPoint[0] !== rule.zeroPoint,
    );
    if (wrong)
      refuse(node, 'numbers', `its result must have scale ${rule.scale} and zero point ${rule.zeroPoint}`);
  }
  const partners =
    rule.kind === 'same' ? [node.inputs[rule.from] ?? null] : rule.kind === 'all' ? flowing : [];
  for (const id of partners) {
    const encoding = encodingOf(subject, id);
    if (encoding !== undefined && outputs.some((output) => !isSame(encoding, output)))
      refuse(node, 'numbers', 'its inputs and its result must have one scale and zero point');
  }
}

function isSame(a: Quantization, b: Quantization): boolean {
  return a.scale[0] === b.scale[0] && a.zeroPoint[0] === b.zeroPoint[0];
}

/** The encoding of a value that holds codes of real numbers. */
function encodingOf({ graph }: Subject, id: ValueId | null): Quantization | undefined {
  const quantization = id === null ? undefined : graph.values.get(id)?.quantization;
  return quantization !== undefined && quantization.scale.length > 0 ? quantization : undefined;
}
