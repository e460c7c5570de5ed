import { KerfError } from '../../ir/errors.ts';
import type { Graph } from '../../ir/model.ts';

const next = 'the audit (kerf audit) lists the layers that still run in float';

/** Why a model whose activations are integers already is refused, and what can be done with it instead. */
export const onnxAlreadyQuantized = (): KerfError =>
  new KerfError(
    'unsupported',
    `the model is quantized already: the pass requantize brings it into the form of another target, ${next}`,
  );

/** Why there is nothing to quantize in a TFLite model. */
export function tfliteNothingFloat(graph: Graph): KerfError {
  const isInteger = (id: string | null): boolean => {
    const value = id === null ? undefined : graph.values.get(id);
    return (
      value?.quantization !== undefined && value.type?.kind === 'tensor' && value.type.dtype !== 'float32'
    );
  };
  const integers = graph.nodes.filter((node) => node.outputs.some(isInteger)).length;
  return new KerfError(
    'unsupported',
    integers === 0
      ? 'there is no float operator with an integer kernel in this model'
      : `the model is quantized already (${integers} of ${graph.nodes.length} layers give integers): ${next}; for another scheme or target quantize the float model`,
  );
}
