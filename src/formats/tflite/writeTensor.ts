import { KerfError } from '../../ir/errors.ts';
import type { Quantization, Value, ValueId } from '../../ir/model.ts';
import type { TensorType } from '../../ir/types.ts';
import { quantizationDetails, valueExtra } from './extra.ts';
import { cell, integersOf, row, rowOf, withCells, type Cell, type Row } from './row.ts';
import { tensorTypeCode } from './types.ts';
import { type BufferPlan, storedForm } from './writeBuffers.ts';

export type IndexOf = (id: ValueId) => number;

/** The row of a tensor: as it was read, with what has changed since. */
export function writeTensor(value: Value, buffers: BufferPlan, indexOf: IndexOf, usesHasRank: boolean): Row {
  const extra = valueExtra(value);
  const base = extra?.row ?? row('Tensor');
  const as = extra?.as;
  const place = `tensor "${value.name}"`;
  const changes: (readonly [string, Cell | undefined])[] = [];
  const same = as !== undefined && value.type === as.type && value.constant === as.constant;
  if (!same || value.signature !== as.signature) changes.push(...typeCells(value, base, place, usesHasRank));
  const buffer = buffers.indexOf(value);
  if (buffer !== 0 || base.cells.has('buffer')) changes.push(['buffer', cell.scalar(buffer)]);
  if (as === undefined || value.name !== as.name) changes.push(['name', cell.text(value.name)]);
  if (as === undefined || value.variable !== as.variable)
    changes.push(['is_variable', cell.unless(0, value.variable ?? false)]);
  if (as === undefined || value.constant !== as.constant) {
    const sparsity = value.constant && storedForm(value.constant)?.sparsity;
    changes.push(['sparsity', sparsity && cell.row(sparsity)], ['external_buffer', undefined]);
  }
  changes.push(
    ...quantizationCells(value.quantization, as?.quantization, as !== undefined, base, indexOf, place),
  );
  return withCells(base, changes);
}

function typeCells(
  value: Value,
  base: Row,
  place: string,
  usesHasRank: boolean,
): readonly (readonly [string, Cell | undefined])[] {
  const type = tensorOf(value, place);
  const code = tensorTypeCode(type.dtype);
  if (code === undefined)
    throw new KerfError('unsupported', `TFLite has no ${type.dtype} tensors`, { place });
  const unranked = type.shape === undefined;
  const shape = (type.shape ?? []).map((dim) => (typeof dim === 'number' ? dim : 1));
  const signature = signatureOf(value, type);
  const keptEmpty = signature === undefined && integersOf(base, 'shape_signature')?.length === 0;
  return [
    ['shape', cell.integers(shape)],
    ['type', cell.unless(0, code)],
    ['has_rank', usesHasRank && !unranked ? cell.scalar(1) : undefined],
    ['shape_signature', signature === undefined && !keptEmpty ? undefined : cell.integers(signature ?? [])],
  ];
}

function tensorOf(value: Value, place: string): TensorType {
  if (value.constant !== undefined)
    return { kind: 'tensor', dtype: value.constant.dtype, shape: value.constant.dims };
  if (value.type?.kind === 'tensor' || value.type?.kind === 'sparse') return value.type;
  throw new KerfError('unsupported', 'a TFLite tensor needs an element type and a shape', { place });
}

/** The signature for a type: -1 where a dimension is free, and absent when none is. */
function signatureOf(value: Value, type: TensorType): readonly number[] | undefined {
  const { signature } = value;
  const fits = signature?.length === type.shape?.length;
  const dims = (type.shape ?? []).map((dim, axis) => {
    if (typeof dim !== 'number') return -1;
    return fits && signature?.[axis] === -1 ? -1 : dim;
  });
  return dims.includes(-1) ? dims : undefined;
}

/** Indices of blockwise scales change with the tensor list, so details are rewritten even when nothing else is. */
function quantizationCells(
  quantization: Quantization | undefined,
  read: Quantization | undefined,
  wasRead: boolean,
  base: Row,
  indexOf: IndexOf,
  place: string,
): readonly (readonly [string, Cell | undefined])[] {
  const stored = rowOf(base, 'quantization');
  const same = wasRead && quantization === read;
  if (quantization === undefined) return same ? [] : [['quantization', undefined]];
  const details = detailsCell(quantization, indexOf, place);
  if (same && stored !== undefined)
    return details === undefined
      ? []
      : [['quantization', cell.row(withCells(stored, [['details', details]]))]];
  const { scale, zeroPoint, axis, min, max } = quantization;
  const made = row('QuantizationParameters', [
    ['min', min && cell.floats(min)],
    ['max', max && cell.floats(max)],
    ['scale', cell.floats(scale)],
    ['zero_point', cell.integers(zeroPoint)],
    ['details', details],
    ['quantized_dimension', cell.unless(0, axis)],
  ]);
  return [['quantization', cell.row(made)]];
}

function detailsCell(quantization: Quantization, indexOf: IndexOf, place: string): Cell | undefined {
  if (quantization.details === undefined) return undefined;
  const details = quantizationDetails(quantization);
  if (details === undefined)
    throw new KerfError('unsupported', 'has quantization details of another format', { place });
  const { row: kept, tag, scales, zeroPoints } = details;
  const indices: [string, Cell][] = [];
  if (scales !== undefined) indices.push(['scales', cell.scalar(indexOf(scales))]);
  if (zeroPoints !== undefined) indices.push(['zero_points', cell.scalar(indexOf(zeroPoints))]);
  return cell.choice(tag, withCells(kept, indices));
}
