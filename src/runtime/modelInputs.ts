import type { Model, Value } from '../ir/model.ts';
import { feedsOf } from '../ir/model.ts';
import { scalesOfEnds, withScale } from './onnx/onnxEnds.ts';
import type { TensorInfo } from './runner.ts';

/** The inputs of a model as its runtime will report them, so that data can be prepared before a session is open. */
export function inputsOf(model: Model): readonly TensorInfo[] {
  const described = feedsOf(model.graphs[0]).map(describe);
  if (model.dialect === 'tflite') return described;
  const scales = scalesOfEnds(model);
  return described.map((input) => withScale(input, scales));
}

function describe({ id, type, quantization }: Value): TensorInfo {
  const dtype = type?.kind === 'tensor' ? type.dtype : 'undefined';
  const shape = type?.kind === 'tensor' ? (type.shape ?? []) : [];
  const dims = shape.map((dim) => (typeof dim === 'number' ? dim : -1));
  const scale = quantization?.scale.length === 1 ? quantization.scale[0] : undefined;
  const symbols = shape.map((dim) => (typeof dim === 'string' ? dim : ''));
  if (scale === undefined) return { name: id, dtype, dims, symbols };
  return {
    name: id,
    dtype,
    dims,
    symbols,
    quantization: { scale, zeroPoint: quantization?.zeroPoint[0] ?? 0 },
  };
}

/** The inputs with numbers in place of free dimensions: by symbol, as `input[axis]`, or by input for its first one. */
export function boundInputs(
  inputs: readonly TensorInfo[],
  bind: Readonly<Record<string, number>> | undefined,
): readonly TensorInfo[] {
  if (bind === undefined) return inputs;
  return inputs.map((input) => {
    const first = input.dims.findIndex((dim) => dim < 0);
    const dims = input.dims.map((dim, axis) => {
      const own = axis === first ? bind[input.name] : undefined;
      const given = bind[input.symbols?.[axis] ?? ''] ?? bind[`${input.name}[${axis}]`] ?? own;
      return dim < 0 ? (given ?? dim) : dim;
    });
    return { ...input, dims };
  });
}
