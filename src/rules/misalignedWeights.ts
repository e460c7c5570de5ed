import { bitsOf } from '../ir/dtype.ts';
import type { TensorLeftover } from '../formats/onnx/origin.ts';
import { sourceOf } from '../formats/tflite/read.ts';
import type { Tensor } from '../ir/tensor.ts';
import { graphsOf } from '../ir/walk.ts';
import { passFix } from './fixes.ts';
import type { Rule, RuleContext } from './rule.ts';
import { count, onModel } from './support.ts';

/** The schema's force_align for TFLite buffers; what ONNX asks of external data that is to be mapped into memory. */
const tfliteAlignment = 16;
const onnxAlignment = 4096;
/** Smaller ONNX tensors are copied by every runtime. */
const mappedBytes = 1 << 16;

export const misalignedWeights: Rule = {
  id: 'misaligned-weights',
  severity: 'information',
  title: 'Weights do not start where they should',
  manual: `TFLite asks for buffers at multiples of 16 bytes. Interpreters that use the file in place read misaligned numbers slowly, or
not at all: on a Cortex-M4F a float at an odd address is a fault (a warning for microcontrollers when not even an element is
aligned). ONNX asks external data to start at multiples of 4096 bytes, so that it can be mapped into memory instead of read.

**Example.** A file that was written by Python's flatbuffers, which ignores \`force_align\`.

**Remedy.** Change the model with any pass and save it: Kerf writes every buffer aligned.`,
  check(context) {
    const { misaligned, unreadable } = misalignedIn(context);
    if (misaligned === 0) return [];
    const wanted = context.model.dialect === 'tflite' ? tfliteAlignment : onnxAlignment;
    const message = `${count(misaligned, 'constant')} ${misaligned === 1 ? 'does' : 'do'} not start at a multiple of ${wanted} bytes.`;
    const faults = unreadable > 0 && context.device?.class === 'mcu';
    const words = faults
      ? `${message} ${unreadable} of them are not even aligned to their elements.`
      : message;
    const title = `Write the buffers at multiples of ${wanted} bytes: same result`;
    const fixes = context.model.dialect === 'tflite' ? passFix(context, 'repair', { title }) : [];
    return onModel({ id: misalignedWeights.id, severity: faults ? 'warning' : 'information' }, words, fixes);
  },
};

function misalignedIn({ model }: RuleContext): { misaligned: number; unreadable: number } {
  let misaligned = 0;
  let unreadable = 0;
  // A model that was changed is written anew, with every buffer in its place.
  if (model.dialect === 'tflite' && sourceOf(model) === undefined) return { misaligned, unreadable };
  const seen = new Set<object>();
  for (const graph of graphsOf(model)) {
    for (const { constant } of graph.values.values()) {
      if (
        constant === undefined ||
        seen.has(constant.data) ||
        constant.data.length === 0 ||
        constant.data.missing !== undefined
      )
        continue;
      seen.add(constant.data);
      const start = startOf(constant, model.dialect);
      const wanted = model.dialect === 'tflite' ? tfliteAlignment : onnxAlignment;
      if (start === undefined || start % wanted === 0) continue;
      misaligned += 1;
      if (start % Math.max(1, bitsOf(constant.dtype) / 8) !== 0) unreadable += 1;
    }
  }
  return { misaligned, unreadable };
}

function startOf(tensor: Tensor, dialect: 'onnx' | 'tflite'): number | undefined {
  if (dialect === 'tflite') return tensor.data.start;
  if (tensor.data.length < mappedBytes) return undefined;
  return (tensor.extra as TensorLeftover | undefined)?.external?.offset;
}
