import { intAttribute } from '../../ir/attribute.ts';
import type { Model, Node, Quantization } from '../../ir/model.ts';
import { readFloats, sizeOf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { indexOf } from '../../ir/walk.ts';
import type { WeightRole } from '../../ops/operator.ts';
import { operatorOf } from '../../ops/registry.ts';
import { readableConstant } from '../../passes/support/constants.ts';

/**
 * A layer's main weight in real numbers, as its operator multiplies with it; undefined when it is no constant. With
 * `outputAxis`, a matrix comes with its outputs along that axis: passes turn matrices as kernels like them.
 */
export function effectiveWeight(model: Model, node: Node, outputAxis?: number): RealWeight | undefined {
  const role = weightRoleOf(model, node);
  const weight = realConstant(model, node.inputs[role?.input ?? 1]);
  const turned = weight?.dims.length === 2 && outputAxis !== undefined && role?.outputAxis !== outputAxis;
  return turned ? transposed(weight) : weight;
}

/** The role of a layer's main weight. */
export function weightRoleOf(model: Model, node: Node): WeightRole | undefined {
  return operatorOf(model, node)?.weights?.(node, model)?.[0];
}

interface RealWeight {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

function transposed({ dims, data }: RealWeight): RealWeight {
  const [rows = 1, columns = 1] = dims;
  const turned = new Float32Array(data.length);
  for (let row = 0; row < rows; row += 1)
    for (let column = 0; column < columns; column += 1)
      turned[column * rows + row] = data[row * columns + column] as number;
  return { dims: [columns, rows], data: turned };
}

function realConstant(model: Model, id: string | null | undefined): RealWeight | undefined {
  const [graph] = model.graphs;
  const constant = readableConstant(graph, id);
  if (constant !== undefined && id != null) {
    const quantization = graph.values.get(id)?.quantization;
    const data = quantization === undefined ? readFloats(constant) : dequantized(constant, quantization);
    return data && { dims: constant.dims, data };
  }
  const maker = id == null ? undefined : indexOf(graph).producer.get(id);
  if (maker === undefined) return undefined;
  if (maker.op === 'Cast' || maker.op === 'DEQUANTIZE') return realConstant(model, maker.inputs[0]);
  return maker.op === 'DequantizeLinear' ? dequantizedBy(model, maker) : undefined;
}

/** Elements in memory that may be written to; floats are handed out as they are stored. */
function ownFloats(tensor: Tensor): Float32Array {
  const floats = readFloats(tensor);
  return tensor.dtype === 'float32' ? floats.slice() : floats;
}

/** DequantizeLinear of constants (ONNX operators, version 21): per tensor, along an axis, or in blocks of it. */
function dequantizedBy(model: Model, node: Node): RealWeight | undefined {
  const [graph] = model.graphs;
  const codes = readableConstant(graph, node.inputs[0]);
  const scales = readableConstant(graph, node.inputs[1]);
  const zeros = readableConstant(graph, node.inputs[2]);
  if (codes === undefined || scales === undefined) return undefined;
  const { dims } = codes;
  const axis = (intAttribute(node, 'axis', 1) + dims.length) % Math.max(1, dims.length);
  const block = Math.max(1, intAttribute(node, 'block_size', 0));
  const [scale, zero] = [readFloats(scales), zeros && readFloats(zeros)];
  const inner = dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const along = dims[axis] ?? 1;
  const blocks = Math.ceil(along / block);
  const wide = sizeOf(scales) === 1 ? 0 : intAttribute(node, 'block_size', 0) > 0 ? 2 : 1;
  const data = ownFloats(codes);
  const outers = inner * along === 0 ? 0 : data.length / (inner * along);
  // All that one scale stands for lies together, or one apart per block: a division for each weight took most of the time.
  for (let outer = 0, at = 0; outer < outers; outer += 1)
    for (let place = 0; place < along; place += 1) {
      const first = (outer * blocks + Math.floor(place / block)) * inner;
      for (let inside = 0; inside < inner; inside += 1, at += 1) {
        const which = wide === 0 ? 0 : wide === 1 ? place : first + inside;
        data[at] = ((data[at] as number) - (zero?.[which] ?? 0)) * (scale[which] as number);
      }
    }
  return { dims, data };
}

function dequantized(
  tensor: Tensor,
  { scale, zeroPoint, axis, details }: Quantization,
): Float32Array | undefined {
  if (scale.length === 0) return details === undefined ? readFloats(tensor) : undefined;
  const inner = tensor.dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const along = tensor.dims[axis] ?? 1;
  const single = scale.length === 1;
  const data = ownFloats(tensor);
  for (let at = 0, row = 0; at < data.length; row += 1) {
    const which = single ? 0 : row % along;
    const zero = zeroPoint[which] ?? zeroPoint[0] ?? 0;
    for (const end = Math.min(data.length, at + inner); at < end; at += 1)
      data[at] = ((data[at] as number) - zero) * (scale[which] as number);
  }
  return data;
}
