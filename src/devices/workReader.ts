import { bitsOf, byteSize, isFloat } from '../ir/dtype.ts';
import type { DType } from '../ir/dtype.ts';
import type { Graph, Node, ValueId } from '../ir/model.ts';
import { elementCount } from '../ir/types.ts';
import type { Shape, TensorType, ValueType } from '../ir/types.ts';
import { indexOf } from '../ir/walk.ts';
import type { Analysis } from '../analysis/report.ts';

/**
 * Classes of operators whose speed differs by a constant factor on one device. `depthwise` stands for every convolution
 * with at most three input channels per group: there is nothing to vectorise along, so first layers belong here too.
 */
export type OpClass = 'generic' | 'dense3x3' | 'depthwise' | 'fullyConnected' | 'other' | 'free';

export type Precision = 'float32' | 'float16' | 'int8';

export interface Place {
  readonly node: Node;
  readonly graph: Graph;
}

export const quantizers = new Set(['QuantizeLinear', 'DynamicQuantizeLinear', 'QUANTIZE']);

export const dequantizers = new Set(['DequantizeLinear', 'DEQUANTIZE']);

const isIntegerOp = named(
  /^(QLinear|QGemm$|QAttention$|ConvInteger$|MatMulInteger|DynamicQuantize(MatMul|LSTM)|MatMulNBits$)/,
);

/** Whether an operator's name matches; each name is tried once. */
export function named(pattern: RegExp): (op: string) => boolean {
  const tried = new Map<string, boolean>();
  return (op) => {
    let matches = tried.get(op);
    if (matches === undefined) {
      matches = pattern.test(op);
      tried.set(op, matches);
    }
    return matches;
  };
}

export const passesWeights = new Set([
  'Cast',
  'Transpose',
  'Reshape',
  'Identity',
  'CAST',
  'TRANSPOSE',
  'RESHAPE',
]);

/** A float32 tensor inside a QDQ region travels as one byte per element. */
function sizeAt(dtype: DType, count: number, precision: Precision, asStored: boolean): number {
  if (precision === 'int8' && isFloat(dtype) && !asStored) return count;
  return Math.ceil((count * bitsOf(dtype)) / 8);
}

function isByte(type: TensorType | undefined): boolean {
  return type?.dtype === 'int8' || type?.dtype === 'uint8';
}

/** Types and producers around one node. */
export class Reader {
  readonly #place: Place;
  readonly #types: ReadonlyMap<ValueId, ValueType> | undefined;

  constructor(place: Place, analysis: Analysis) {
    this.#place = place;
    this.#types = analysis.types.get(place.graph);
  }

  type(id: ValueId | null | undefined): TensorType | undefined {
    if (id === null || id === undefined) return undefined;
    const found = this.#types?.get(id) ?? this.#place.graph.values.get(id)?.type;
    return found !== undefined && (found.kind === 'tensor' || found.kind === 'sparse') ? found : undefined;
  }

  shape(index: number): Shape | undefined {
    return this.type(this.#place.node.inputs[index])?.shape;
  }

  producer(id: ValueId | null | undefined): Node | undefined {
    return id === null || id === undefined ? undefined : indexOf(this.#place.graph).producer.get(id);
  }

  /** The constant behind an input, through the dequantization or cast that sits on compressed weights. */
  constantBehind(id: ValueId | null | undefined): { dtype: DType; count: number } | undefined {
    let current = id;
    for (let hops = 0; hops < 4 && current !== null && current !== undefined; hops += 1) {
      const constant = this.#place.graph.values.get(current)?.constant;
      if (constant !== undefined) {
        return { dtype: constant.dtype, count: constant.dims.reduce((product, dim) => product * dim, 1) };
      }
      const producer = this.producer(current);
      const through =
        producer !== undefined && (dequantizers.has(producer.op) || passesWeights.has(producer.op));
      current = through ? producer.inputs[0] : undefined;
    }
    return undefined;
  }

  precision(): Precision {
    const { node } = this.#place;
    if (isIntegerOp(node.op) || quantizers.has(node.op) || dequantizers.has(node.op)) return 'int8';
    const activation = node.inputs.find((id) => id !== null && this.constantBehind(id) === undefined);
    const type = this.type(activation ?? node.outputs[0]);
    if (activation !== undefined && activation !== null && this.#isDequantized(activation)) return 'int8';
    if (this.isHybrid()) return 'int8';
    if (type?.dtype === 'float16' || type?.dtype === 'bfloat16') return 'float16';
    if (type !== undefined && !isFloat(type.dtype) && this.#isQuantizedTflite(activation)) return 'int8';
    // What moves quantized codes around, as a Pad between Quantize and Dequantize does.
    if (isByte(type) && isByte(this.type(node.outputs[0]))) return 'int8';
    return 'float32';
  }

  /** QDQ form: the node reads dequantized data, so a runtime runs it on integers. */
  #isDequantized(id: ValueId): boolean {
    const producer = this.producer(id);
    return producer?.op === 'DequantizeLinear' && this.constantBehind(id) === undefined;
  }

  #isQuantizedTflite(id: ValueId | null | undefined): boolean {
    if (id === null || id === undefined) return false;
    return this.#place.graph.values.get(id)?.quantization !== undefined;
  }

  /** TFLite's dynamic-range form: float activations against a stored int8 weight, multiplied as integers. */
  isHybrid(): boolean {
    const { node, graph } = this.#place;
    const [activation, weight] = node.inputs;
    const value = weight === null || weight === undefined ? undefined : graph.values.get(weight);
    if (value?.constant?.dtype !== 'int8' || value.quantization === undefined) return false;
    const type = this.type(activation);
    return type !== undefined && isFloat(type.dtype);
  }

  activationBytes(precision: Precision): number | undefined {
    const { node } = this.#place;
    const asStored = this.isHybrid() || quantizers.has(node.op) || dequantizers.has(node.op);
    let total = 0;
    for (const ids of [node.inputs, node.outputs]) {
      for (const id of ids) {
        if (id === null || this.constantBehind(id) !== undefined) continue;
        const type = this.type(id);
        const count = type === undefined ? undefined : elementCount(type.shape);
        if (type === undefined || count === undefined) return undefined;
        total += sizeAt(type.dtype, count, precision, asStored);
      }
    }
    return total;
  }

  weightBytes(): number {
    let total = 0;
    for (const id of this.#place.node.inputs) {
      const constant = this.constantBehind(id);
      if (constant !== undefined) total += byteSize(constant.dtype, constant.count) ?? 0;
    }
    return total;
  }
}
