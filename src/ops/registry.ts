import type { Dialect, Model, Node } from '../ir/model.ts';
import { onnxFlows } from './flow/onnx.ts';
import { tfliteFlows } from './flow/tflite.ts';
import { activationOperators } from './onnx/activation.ts';
import { attentionOperators } from './onnx/attention.ts';
import { classicalOperators } from './onnx/classical.ts';
import { constantOperators } from './onnx/constant.ts';
import { contribOperators } from './onnx/contrib.ts';
import { contribAttentionOperators } from './onnx/contribAttention.ts';
import { controlOperators } from './onnx/control.ts';
import { convolutionOperators } from './onnx/convolution.ts';
import { elementwiseOperators } from './onnx/elementwise.ts';
import { indexingOperators } from './onnx/indexing.ts';
import { linearAttentionOperators } from './onnx/linearAttention.ts';
import { contribDomain } from './onnx/kit.ts';
import { matmulOperators } from './onnx/matmul.ts';
import { movementOperators } from './onnx/movement.ts';
import { normalizationOperators } from './onnx/normalization.ts';
import { poolingOperators } from './onnx/pooling.ts';
import { quantizationOperators } from './onnx/quantization.ts';
import { recurrentOperators } from './onnx/recurrent.ts';
import { reductionOperators } from './onnx/reduction.ts';
import { resizeOperators } from './onnx/resize.ts';
import { sequenceOperators } from './onnx/sequence.ts';
import { shapeOperators } from './onnx/shape.ts';
import { signalOperators } from './onnx/signal.ts';
import { slicingOperators } from './onnx/slicing.ts';
import type { Operator } from './operator.ts';
import { tfliteOperators } from './tflite/operators.ts';

const all: readonly (readonly Operator[])[] = [
  activationOperators,
  attentionOperators,
  classicalOperators,
  constantOperators,
  contribOperators,
  contribAttentionOperators,
  controlOperators,
  convolutionOperators,
  elementwiseOperators,
  indexingOperators,
  linearAttentionOperators,
  matmulOperators,
  movementOperators,
  normalizationOperators,
  poolingOperators,
  quantizationOperators,
  recurrentOperators,
  reductionOperators,
  resizeOperators,
  sequenceOperators,
  shapeOperators,
  signalOperators,
  slicingOperators,
  tfliteOperators,
];

/** By dialect, domain and name; looked up several times for every node, so no keys are put together. */
const table: Readonly<Record<Dialect, Map<string, Map<string, Operator>>>> = {
  onnx: new Map(),
  tflite: new Map(),
};
for (const operator of all.flat()) {
  const domains = table[operator.dialect];
  const names = domains.get(operator.domain) ?? new Map<string, Operator>();
  domains.set(operator.domain, names);
  names.set(operator.name, withChannels(operator));
}

/** Channels flow alike through an operator of the default domain and its contributed namesakes. */
function withChannels(operator: Operator): Operator {
  const known = operator.domain === '' || operator.domain === contribDomain;
  const channels = known ? (operator.dialect === 'onnx' ? onnxFlows : tfliteFlows)[operator.name] : undefined;
  return channels === undefined ? operator : { ...operator, channels };
}

/** ONNX spells its default domain both '' and 'ai.onnx'. */
export function sameDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

/** What is known of a node's operator; `undefined` for operators nobody described. */
export function operatorOf(model: Model, node: Node): Operator | undefined {
  return table[model.dialect].get(sameDomain(node.domain))?.get(node.op);
}

/** Every described operator. */
export function describedOperators(): readonly Operator[] {
  return all.flat();
}
