import fs from 'node:fs';
import path from 'node:path';
import { readModelFile } from '../../../../../src/formats/io/models.ts';
import { readTensor } from '../../../../../src/formats/onnx/readTensor.ts';
import { WireReader } from '../../../../../src/formats/onnx/wire.ts';
import { memoryBytes } from '../../../../../src/ir/bytes.ts';
import { isFloat } from '../../../../../src/ir/dtype.ts';
import type { Graph, OnnxModel, Value } from '../../../../../src/ir/model.ts';
import { feedsOf, withMainGraph } from '../../../../../src/ir/model.ts';
import { sizeOf } from '../../../../../src/ir/numbers.ts';
import type { Tensor } from '../../../../../src/ir/tensor.ts';
import type { TensorType, ValueType } from '../../../../../src/ir/types.ts';
import { tensorType } from '../../../../../src/ir/types.ts';

/**
 * Folders of ONNX's backend tests, each test a folder with a model and the inputs and outputs of a run: where Debian's
 * libonnx-testdata puts them, and those named in KERF_ONNX_TESTDATA.
 */
export function backendFolders(): readonly string[] {
  const named = (process.env['KERF_ONNX_TESTDATA'] ?? '').split(path.delimiter).filter((each) => each !== '');
  return ['/usr/share/libonnx-testdata/data', ...named]
    .filter((root) => fs.existsSync(root))
    .flatMap((root) =>
      ['node', 'simple', 'pytorch-converted', 'pytorch-operator'].map((each) => path.join(root, each)),
    )
    .filter((folder) => fs.existsSync(folder));
}

/** Operators whose output sizes stand in the data itself: rows that survive, distinct values, words, pixels. */
export const dataDependent: ReadonlySet<string> = new Set([
  'ImageDecoder',
  'NonMaxSuppression',
  'NonZero',
  'StringNormalizer',
  'StringSplit',
  'Unique',
]);

/** Optimizer steps of training graphs, which are not described. */
export const training: ReadonlySet<string> = new Set(['Adagrad', 'Adam', 'Gradient', 'Momentum']);

export interface BackendTest {
  readonly name: string;
  /** Outputs have no declared types, inputs have the types of the run, and small ones its content. */
  readonly model: OnnxModel;
  /** What came out: a tensor's type, or those of a sequence's elements; absent when the file is of another kind. */
  readonly outputs: ReadonlyMap<string, ValueType | readonly ValueType[] | undefined>;
}

/** Integers up to this many elements may be axes, sizes or indices that shapes follow from. */
const mostIntegers = 64;
const mostFloats = 8;

/** The tests of a folder, in order; those without a model or data are left out. */
export function* backendTests(folder: string): Generator<BackendTest> {
  for (const name of fs.readdirSync(folder).sort()) {
    const file = path.join(folder, name, 'model.onnx');
    const data = path.join(folder, name, 'test_data_set_0');
    if (!fs.existsSync(file) || !fs.existsSync(data)) continue;
    const { model } = readModelFile(file);
    if (model.dialect !== 'onnx') continue;
    yield { name, ...prepared(model, data) };
  }
}

function prepared(model: OnnxModel, data: string): Omit<BackendTest, 'name'> {
  const [graph] = model.graphs;
  const values = new Map(graph.values);
  for (const node of graph.nodes) {
    for (const id of node.outputs)
      if (id !== null) values.set(id, untyped(values.get(id) ?? { id, name: id }));
  }
  feedsOf(graph).forEach((value, index) => {
    const file = path.join(data, `input_${index}.pb`);
    if (value.type?.kind !== 'tensor' || !fs.existsSync(file)) return;
    values.set(value.id, fed(value, tensorIn(fs.readFileSync(file))));
  });
  const outputs = new Map(
    graph.outputs.map((id, index) => {
      const file = path.join(data, `output_${index}.pb`);
      return [id, fs.existsSync(file) ? observed(graph, id, fs.readFileSync(file)) : undefined];
    }),
  );
  return { model: withMainGraph(model, { ...graph, values }), outputs };
}

function untyped(value: Value): Value {
  const { type, ...rest } = value;
  return type === undefined ? value : rest;
}

function fed(value: Value, tensor: Tensor): Value {
  const type = typeOf(tensor, value.type);
  if (type.dtype !== tensor.dtype) return { ...value, type };
  const most = tensor.dtype === 'string' ? 0 : isFloat(tensor.dtype) ? mostFloats : mostIntegers;
  return sizeOf(tensor) <= most ? { ...value, type, constant: tensor } : { ...value, type };
}

function observed(graph: Graph, id: string, bytes: Uint8Array): ValueType | readonly ValueType[] | undefined {
  const declared = graph.values.get(id)?.type;
  if (declared?.kind === 'sequence') return elementsIn(bytes).map((each) => typeOf(each));
  return declared?.kind === 'tensor' ? typeOf(tensorIn(bytes), declared) : undefined;
}

/** Data of old releases stores bfloat16 under the name of the integer it is kept in. */
function typeOf(tensor: Tensor, declared?: ValueType): TensorType {
  const kept = declared?.kind === 'tensor' && declared.dtype === 'bfloat16';
  return tensorType(kept ? declared.dtype : tensor.dtype, tensor.dims);
}

function noFiles(): never {
  throw new Error('the test data is self-contained');
}

function tensorIn(bytes: Uint8Array): Tensor {
  return readTensor(new WireReader(memoryBytes(bytes)), bytes.length, noFiles).tensor;
}

/** Tensors of a `SequenceProto`: field 3. */
function elementsIn(bytes: Uint8Array): readonly Tensor[] {
  const reader = new WireReader(memoryBytes(bytes));
  const tensors: Tensor[] = [];
  while (reader.pos < bytes.length) {
    const { field, type } = reader.tag(bytes.length);
    if (field !== 3) {
      reader.skip(type, bytes.length);
      continue;
    }
    const length = reader.length(bytes.length);
    const end = reader.pos + length;
    tensors.push(readTensor(reader, end, noFiles).tensor);
    reader.pos = end;
  }
  return tensors;
}
