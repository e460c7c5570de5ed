import { byteSize, isFloat } from '../../ir/dtype.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Quantization } from '../../ir/model.ts';
import { decodeNumbers } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { Dim, Shape, ValueType } from '../../ir/types.ts';

const plain = /^[A-Za-z_][A-Za-z0-9_.]*$/;
const decoder = new TextDecoder();

/** Constants of at most this many elements are shown with their content. */
const shownElements = 8;

/** An identifier as the text form writes it: bare when it can be, else quoted with JSON's escapes. */
export function identifier(name: string): string {
  return plain.test(name) ? name : JSON.stringify(name);
}

/** Bytes with three significant digits: "864 B", "1.73 kB", "12.4 MB". */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return unit === 0 ? `${bytes} B` : `${value.toPrecision(3)} ${units[unit]}`;
}

/** `float32[1,3,?,N]`; a scalar is `float32[]`, an unknown rank is `float32`, an unknown type is `?`. */
export function formatType(type: ValueType | undefined): string {
  if (type === undefined) return '?';
  switch (type.kind) {
    case 'tensor':
      return type.dtype + formatDims(type.shape);
    case 'sparse':
      return `sparse_tensor(${type.dtype}${formatDims(type.shape)})`;
    case 'sequence':
      return `seq(${formatType(type.element)})`;
    case 'optional':
      return `optional(${formatType(type.element)})`;
    case 'map':
      return `map(${type.key}, ${formatType(type.value)})`;
    case 'opaque':
      return `opaque(${JSON.stringify(type.domain)}, ${JSON.stringify(type.name)})`;
  }
}

function formatDims(shape: Shape | undefined): string {
  return shape === undefined ? '' : `[${shape.map(formatDim).join(',')}]`;
}

function formatDim(dim: Dim): string {
  if (dim === null) return '?';
  return typeof dim === 'number' ? String(dim) : identifier(dim);
}

/** A constant: its content when it is small, else its size: `int64[2] {0, 1}`, `float32[16,3,3,3] 1.73 kB`. */
export function formatTensor(tensor: Tensor): string {
  const type = tensor.dtype + formatDims(tensor.dims);
  if (tensor.data.missing !== undefined) return `${type} missing`;
  const count = tensor.dims.reduce((product, dim) => product * dim, 1);
  const content = count <= shownElements ? formatElements(tensor, count) : undefined;
  if (content !== undefined) return `${type} {${content}}`;
  const bytes = byteSize(tensor.dtype, count) ?? tensor.data.length;
  return `${type} ${formatBytes(bytes)}`;
}

function formatElements(tensor: Tensor, count: number): string | undefined {
  if (tensor.strings !== undefined) return tensor.strings.map((each) => quoteBytes(each)).join(', ');
  try {
    if (tensor.dtype === 'int64' || tensor.dtype === 'uint64') return formatWide(tensor, count);
    const numbers = decodeNumbers(tensor.dtype, tensor.data.read(), count);
    const float = isFloat(tensor.dtype);
    return Array.from(numbers, (value) => (float ? formatFloat(value) : String(value))).join(', ');
  } catch (error) {
    // Damaged content and element types without numbers are shown by their size, like large constants.
    if (error instanceof KerfError) return undefined;
    throw error;
  }
}

/** 64-bit integers, exactly: a double cannot hold all of them. */
function formatWide(tensor: Tensor, count: number): string {
  const bytes = tensor.data.read();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < count * 8) throw new KerfError('truncated', 'the tensor is shorter than its shape');
  const signed = tensor.dtype === 'int64';
  return Array.from({ length: count }, (_, index) =>
    signed ? view.getBigInt64(index * 8, true) : view.getBigUint64(index * 8, true),
  ).join(', ');
}

/** The shortest decimal that gives the same float32. */
export function formatFloat(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  if (Object.is(value, -0)) return '-0';
  const target = Math.fround(value);
  if (target !== value) return String(value);
  for (let digits = 1; digits <= 9; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === target) return String(short);
  }
  return String(value);
}

/** Bytes as a quoted string when they are UTF-8 text, else as hexadecimal. Long ones are cut. */
export function quoteBytes(bytes: Uint8Array): string {
  const cut = bytes.length > 200 ? bytes.subarray(0, 200) : bytes;
  const text = decoder.decode(cut);
  const rest = cut.length < bytes.length ? '...' : '';
  if (!text.includes('\ufffd')) return JSON.stringify(text) + rest;
  const hex = Array.from(cut.subarray(0, 32), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `0x${hex}${bytes.length > 32 ? '...' : ''}`;
}

/** ` q(0.00784, -128)` or ` q(16 scales 0.0012..0.034, axis 0)`; empty without quantization. */
export function formatQuantization(quantization: Quantization | undefined): string {
  if (quantization === undefined || quantization.scale.length === 0) return '';
  const { scale, zeroPoint, axis } = quantization;
  const short = (value: number | undefined) => String(Number((value ?? Number.NaN).toPrecision(4)));
  if (scale.length === 1) return ` q(${short(scale[0])}, ${zeroPoint[0] ?? 0})`;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const each of scale) {
    low = Math.min(low, each);
    high = Math.max(high, each);
  }
  const zero = zeroPoint.every((point) => point === 0) ? '' : ', zero points differ from 0';
  return ` q(${scale.length} scales ${short(low)}..${short(high)}, axis ${axis}${zero})`;
}
