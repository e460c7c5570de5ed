import type { GraphEditor } from '../../ir/edit.ts';
import type { Node, NodeId, Quantization, ValueId } from '../../ir/model.ts';

/** Per-tensor TFLite quantization parameters. */
export function perTensor(scale: number, zeroPoint: number): Quantization {
  return { scale: Float32Array.of(scale), zeroPoint: [zeroPoint], axis: 0 };
}

/** Symmetric parameters with one scale, or one per index of `axis`. */
export function symmetric(scales: Float32Array, axis: number): Quantization {
  return { scale: scales, zeroPoint: Array.from({ length: scales.length }, () => 0), axis };
}

/** A new operator without options. */
export function plainNode(
  editor: GraphEditor,
  op: string,
  inputs: readonly ValueId[],
  output: ValueId,
  base: NodeId,
): Node {
  const id = editor.freshNode(`${base}/${op}`);
  return { id, name: '', op, domain: '', inputs, outputs: [output], attributes: new Map() };
}
