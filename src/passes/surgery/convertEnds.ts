import { attr } from '../../ir/attribute.ts';
import type { DType } from '../../ir/dtype.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Model, Quantization, Value, ValueId } from '../../ir/model.ts';
import { dataTypeNumber } from '../../ir/onnxDataTypes.ts';
import type { TensorType } from '../../ir/types.ts';
import { perTensor } from '../support/tflite.ts';
import type { Chain } from './ends.ts';
import { openInput, openOutput, withChain } from './ends.ts';

export type EndType = 'float32' | 'uint8' | 'int8';

const tfliteTypes = { float32: 0, uint8: 3, int8: 9 } as const;

/** The declared tensor type of an end. Throws `KerfError('unsupported')` when it is none. */
export function endType(model: Model, id: ValueId): TensorType {
  const type = model.graphs[0].values.get(id)?.type;
  if (type?.kind === 'tensor') return type;
  throw new KerfError('unsupported', 'it is no tensor of a known type', { place: `tensor '${id}'` });
}

/**
 * Lets an input be fed in another type. TFLite integers stand for the same real numbers as before: the scale moves from
 * one type to the other. A plain float input fed as integers gets their values, 0 to 255 for uint8.
 */
export function withInputType(model: Model, id: ValueId, to: EndType): Model {
  const from = endType(model, id);
  if (from.dtype === to) return model;
  const opened = openInput(model, id);
  const value = model.graphs[0].values.get(id) as Value;
  const outer = retyped(value, to, outerQuantization(value.quantization, from.dtype, to));
  return withChain(opened.model, 'first', (chain, editor) => {
    editor.setValue(outer);
    convert(model, chain, outer, { ...value, id: opened.inner });
  });
}

/** Lets an output be read in another type; see `withInputType`. */
export function withOutputType(model: Model, id: ValueId, to: EndType): Model {
  const from = endType(model, id);
  if (from.dtype === to) return model;
  const opened = openOutput(model, id);
  const value = model.graphs[0].values.get(id) as Value;
  if (value.quantization === undefined && to !== 'float32')
    throw new KerfError(
      'unsupported',
      'integers for a float output need a scale: quantize the model instead',
      {
        place: `output '${id}'`,
      },
    );
  const outer = retyped(value, to, outerQuantization(value.quantization, from.dtype, to));
  return withChain(opened.model, 'last', (chain, editor) => {
    editor.setValue(outer);
    convert(model, chain, { ...value, id: opened.inner }, outer);
  });
}

function retyped(value: Value, dtype: DType, quantization: Quantization | undefined): Value {
  const { quantization: _old, type, ...rest } = value;
  const shape = type?.kind === 'tensor' ? type.shape : undefined;
  const next: TensorType = { kind: 'tensor', dtype, ...(shape && { shape }) };
  return { ...rest, type: next, ...(quantization && { quantization }) };
}

/** The same real numbers in the other integer type: int8 and uint8 differ by 128. */
function outerQuantization(
  inner: Quantization | undefined,
  from: DType,
  to: EndType,
): Quantization | undefined {
  const scale = inner?.scale[0];
  if (inner === undefined || scale === undefined || to === 'float32') return undefined;
  const zero = inner.zeroPoint[0] ?? 0;
  if (from === 'int8' && to === 'uint8') return perTensor(scale, zero + 128);
  if (from === 'uint8' && to === 'int8') return perTensor(scale, zero - 128);
  throw new KerfError('unsupported', `there is no exact change from ${from} to ${to}`);
}

/** The operator between two types: of `from`, which exists, makes `into`. */
function convert(model: Model, chain: Chain, from: Value, into: Value): void {
  const quantized = from.quantization !== undefined || into.quantization !== undefined;
  const dtype = into.type?.kind === 'tensor' ? into.type.dtype : 'float32';
  if (model.dialect === 'tflite' && quantized) {
    const toFloat = dtype === 'float32';
    chain.add(toFloat ? 'DEQUANTIZE' : 'QUANTIZE', [from.id], { id: into.id });
    return;
  }
  const source = from.type?.kind === 'tensor' ? from.type.dtype : 'float32';
  const known = (each: DType): each is EndType => each in tfliteTypes;
  if (!known(dtype) || !known(source))
    throw new KerfError('unsupported', `ends of type ${known(dtype) ? source : dtype} are not covered`);
  if (model.dialect === 'onnx') {
    chain.add('Cast', [from.id], { id: into.id }, { to: attr.int(dataTypeNumber(dtype)) });
    return;
  }
  chain.add(
    'CAST',
    [from.id],
    { id: into.id },
    {
      in_data_type: { kind: 'enum', value: tfliteTypes[source], name: source.toUpperCase() },
      out_data_type: { kind: 'enum', value: tfliteTypes[dtype], name: dtype.toUpperCase() },
    },
  );
}
