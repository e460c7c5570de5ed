import type { TensorSource, BufferSlot, QuantizationDetails, ValueExtra } from './extra.ts';
import { byteSize } from '../../ir/dtype.ts';
import type { Quantization, Value, ValueId } from '../../ir/model.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { TensorType } from '../../ir/types.ts';
import { tensorType } from '../../ir/types.ts';
import { missingBytes, memoryBytes } from '../../ir/bytes.ts';
import { choiceOf, floatsOf, integersOf, rowOf, scalarOf, textOf, type Row } from './row.ts';
import { densify, readStrings } from './constants.ts';
import { Names } from './names.ts';
import { dtypeOf } from './types.ts';

/** The tensors of one subgraph as values in their stored order, under unique ids. */
export function readTensors(
  rows: readonly Row[],
  source: TensorSource,
  place: string,
  fed: ReadonlySet<number>,
): readonly Value[] {
  const names = new Names();
  const ids = rows.map((row, index) => names.unique(textOf(row, 'name') || `tensor_${index}`));
  return rows.map((row, index) =>
    readTensor(row, ids, index, source, `${place}.tensors[${index}]`, fed.has(index)),
  );
}

function readTensor(
  row: Row,
  ids: readonly ValueId[],
  index: number,
  source: TensorSource,
  place: string,
  fed: boolean,
): Value {
  const bufferIndex = scalarOf(row, 'buffer');
  const slot = source.slots[bufferIndex];
  if (slot === undefined && bufferIndex !== 0)
    source.report.lost(place, `refers to buffer ${bufferIndex} of ${source.slots.length}`);
  const known = readType(row, source, place);
  const external = source.externalBuffers.get(scalarOf(row, 'external_buffer'));
  const constant = readConstant(row, known, slot, external, fed, source, place);
  const quantization = readQuantization(rowOf(row, 'quantization'), ids);
  const signature = integersOf(row, 'shape_signature');
  const as: Value = {
    id: ids[index] as ValueId,
    name: textOf(row, 'name') ?? '',
    type: known,
    ...(constant && { constant }),
    ...(quantization && { quantization }),
    ...(signature && signature.length > 0 && { signature }),
    ...(scalarOf(row, 'is_variable') !== 0 && { variable: true }),
  };
  const extra: ValueExtra = { codec: 'tflite.tensor', row, slot, as };
  return { ...as, extra };
}

function readType(row: Row, source: TensorSource, place: string): TensorType {
  const code = scalarOf(row, 'type');
  const dtype = dtypeOf(code);
  if (dtype === undefined) source.report.damage('error', place, `has the unknown element type ${code}`);
  const shape = integersOf(row, 'shape') ?? [];
  if (shape.some((dim) => dim < 0))
    source.report.damage('warning', place, `has the shape [${shape.join(', ')}]`);
  const hasBuffer = scalarOf(row, 'buffer') !== 0;
  const unranked = shape.length === 0 && source.usesHasRank && scalarOf(row, 'has_rank') === 0 && !hasBuffer;
  const dims = shape.map((dim) => (dim < 0 ? null : dim));
  return tensorType(dtype ?? 'undefined', unranked ? undefined : dims);
}

function readConstant(
  row: Row,
  type: TensorType,
  slot: BufferSlot | undefined,
  external: { readonly length: number; readonly group: string } | undefined,
  fed: boolean,
  source: TensorSource,
  place: string,
): Tensor | undefined {
  const dims = (integersOf(row, 'shape') ?? []).map((dim) => Math.max(0, dim));
  const { dtype } = type;
  if (external !== undefined) {
    const reason = `the weights are in another file, "${external.group}"`;
    return { dtype, dims, data: missingBytes(external.length, reason) };
  }
  const expected = byteSize(
    dtype,
    dims.reduce((product, dim) => product * dim, 1),
  );
  if (slot?.lost !== undefined) return { dtype, dims, data: missingBytes(expected ?? 0, slot.lost) };
  const empty =
    dims.includes(0) && !fed && scalarOf(row, 'buffer') !== 0 && scalarOf(row, 'is_variable') === 0;
  const data =
    (slot?.index === 0 ? undefined : slot?.data) ?? (empty ? memoryBytes(new Uint8Array(0)) : undefined);
  if (data === undefined) return undefined;
  const sparsity = rowOf(row, 'sparsity');
  if (sparsity !== undefined) return densify(sparsity, dtype, dims, data, place, source);
  if (dtype === 'string') return readStrings(data, dims, place, source);
  if (expected !== undefined && expected !== data.length) {
    const message = `needs ${expected} bytes but its buffer holds ${data.length}`;
    if (data.length > expected) source.report.damage('warning', place, message);
    else {
      source.report.damage('error', place, message);
      return { dtype, dims, data: missingBytes(expected, message) };
    }
  }
  return { dtype, dims, data };
}

function readQuantization(row: Row | undefined, ids: readonly ValueId[]): Quantization | undefined {
  if (row === undefined) return undefined;
  const scale = floatsOf(row, 'scale') ?? new Float32Array(0);
  const details = readDetails(row, ids);
  if (scale.length === 0 && details === undefined) return undefined;
  const zeroPoint = [...(integersOf(row, 'zero_point') ?? [])];
  while (zeroPoint.length < scale.length) zeroPoint.push(0);
  const tensors = [details?.scales, details?.zeroPoints].filter((id) => id !== undefined);
  const min = floatsOf(row, 'min');
  const max = floatsOf(row, 'max');
  return {
    scale,
    zeroPoint,
    axis: scalarOf(row, 'quantized_dimension'),
    ...(min && { min }),
    ...(max && { max }),
    ...(details && { details }),
    ...(tensors.length > 0 && { tensors }),
  };
}

function readDetails(row: Row, ids: readonly ValueId[]): QuantizationDetails | undefined {
  const choice = choiceOf(row, 'details');
  if (choice === undefined) return undefined;
  const scales = ids[scalarOf(choice.row, 'scales', -1)];
  const zeroPoints = ids[scalarOf(choice.row, 'zero_points', -1)];
  const indexed = choice.row.table !== 'CustomQuantization';
  return {
    codec: 'tflite.quantization',
    row: choice.row,
    tag: choice.tag,
    ...(indexed && scales !== undefined && { scales }),
    ...(indexed && zeroPoints !== undefined && { zeroPoints }),
  };
}
