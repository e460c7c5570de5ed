import { byteSize } from '../ir/dtype.ts';
import { KerfError } from '../ir/errors.ts';
import { formatShape } from '../ir/types.ts';
import type { HostTensor, TensorInfo, Tensors } from './runner.ts';

/**
 * The feeds in the order of the inputs, checked: the WebAssembly runtimes do not check sizes and trap on wrong ones.
 * Throws `KerfError('runtime-refused')` naming the input.
 */
export function checkedFeeds(
  inputs: readonly TensorInfo[],
  feeds: Tensors,
  file: string,
): readonly HostTensor[] {
  return inputs.map((input) => {
    const fed = feeds[input.name];
    if (fed === undefined) throw refused(file, input.name, `input ${input.name} was not fed`);
    const dims = input.dims.map((dim) => Math.max(dim, 1));
    const bytes = byteSize(
      input.dtype,
      dims.reduce((product, dim) => product * dim, 1),
    );
    const sameDims = fed.dims.length === dims.length && fed.dims.every((dim, axis) => dim === dims[axis]);
    if (fed.dtype !== input.dtype || !sameDims || fed.data.length !== bytes) {
      const wanted = `${input.dtype}[${formatShape(dims)}] (${bytes ?? '?'} bytes)`;
      const given = `${fed.dtype}[${formatShape(fed.dims)}] (${fed.data.length} bytes)`;
      throw refused(file, input.name, `input ${input.name} takes ${wanted}, but got ${given}`);
    }
    return fed;
  });
}

/** Zeros for every input, free dimensions as 1. */
export function zeroFeeds(inputs: readonly TensorInfo[]): readonly HostTensor[] {
  return inputs.map(({ dtype, dims: wanted }) => {
    const dims = wanted.map((dim) => Math.max(dim, 1));
    const count = dims.reduce((product, dim) => product * dim, 1);
    return { dtype, dims, data: new Uint8Array(byteSize(dtype, count) ?? 0) };
  });
}

function refused(file: string, input: string, message: string): KerfError {
  return new KerfError('runtime-refused', message, { file, place: `input ${input}` });
}
