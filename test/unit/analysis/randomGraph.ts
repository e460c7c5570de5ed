import { analyse } from '../../../src/analysis/analyse.ts';
import type { DType } from '../../../src/ir/dtype.ts';
import type { Node, OnnxModel, Value, ValueId } from '../../../src/ir/model.ts';
import { numberTensor } from '../../../src/ir/numbers.ts';
import { isStatic } from '../../../src/ir/types.ts';
import type { Attributes } from '../ops/onnx/build.ts';
import { constant, graph, node, onnxModel, value } from '../ops/onnx/build.ts';
import { generator } from './random.ts';

/** A value of the graph that is being grown, with the shape it has once all symbols are bound. */
interface Wire {
  readonly id: ValueId;
  readonly dtype: DType;
  readonly dims: readonly number[];
}

interface RandomGraph {
  /** Inputs have symbols for some dimensions; `bind` says what they are. */
  readonly symbolic: OnnxModel;
  readonly fixed: OnnxModel;
  readonly bind: Readonly<Record<string, number>>;
}

/** Sizes stay small, so that a run on zeros takes no time. */
const mostElements = 5000;

/**
 * A seeded graph of operators that exporters mix: arithmetic with broadcasting, movement, reductions, products, and
 * shape arithmetic that steers other operators. An operator is kept when its result is a small tensor of known shape.
 */
export function randomGraph(seed: number, steps: number): RandomGraph {
  const choose = generator(seed);
  const sizes = [1, 2, 3, 4, 5, 6, 8];
  const dims = Array.from({ length: 1 + choose(4) }, () => sizes[choose(sizes.length)] as number);
  const bind: Record<string, number> = {};
  const symbols = dims.map((dim, axis) => {
    if (axis === 0 || choose(2) === 0) return dim;
    bind[`d${axis}`] = dim;
    return `d${axis}`;
  });
  const nodes: Node[] = [];
  const values: Value[] = [];
  const fixedInput = value('x', 'float32', dims);
  const wires: Wire[] = [{ id: 'x', dtype: 'float32', dims }];
  const build = (input: Value): OnnxModel =>
    onnxModel(
      graph('random', {
        inputs: [input],
        outputs: nodes.flatMap((each) => each.outputs.filter((id) => id !== null)),
        nodes: [...nodes],
        values: [...values],
      }),
      17,
    );
  for (let step = 0; step < steps; step += 1) {
    const draft = draftOf({ choose, wires, name: `v${step}` });
    if (draft === undefined) continue;
    nodes.push(...draft.nodes);
    values.push(...draft.constants);
    const model = build(fixedInput);
    const types = analyse(model).types.get(model.graphs[0]);
    const made: Wire[] = [];
    for (const id of draft.nodes.flatMap((each) => each.outputs)) {
      const type = id === null ? undefined : types?.get(id);
      if (id === null || type?.kind !== 'tensor' || !isStatic(type.shape)) continue;
      const count = type.shape.reduce((product, dim) => product * dim, 1);
      if (count > 0 && count <= mostElements) made.push({ id, dtype: type.dtype, dims: type.shape });
    }
    const all = draft.nodes.reduce((sum, each) => sum + each.outputs.length, 0);
    if (made.length === all) wires.push(...made);
    else {
      nodes.splice(nodes.length - draft.nodes.length);
      values.splice(values.length - draft.constants.length);
    }
  }
  return { symbolic: build(value('x', 'float32', symbols)), fixed: build(fixedInput), bind };
}

interface Growth {
  readonly choose: (limit: number) => number;
  readonly wires: readonly Wire[];
  readonly name: string;
}

interface Draft {
  readonly nodes: readonly Node[];
  readonly constants: readonly Value[];
}

const binaries = ['Add', 'Sub', 'Mul', 'Max', 'Min', 'Greater', 'Equal'];
const unaries = [
  'Relu',
  'Sigmoid',
  'Abs',
  'Neg',
  'Exp',
  'Identity',
  'Softmax',
  'Shape',
  'Flatten',
  'Not',
  'Floor',
];
const reductions = ['ReduceMean', 'ReduceMax', 'ReduceProd', 'ReduceL2', 'ArgMax'];

function draftOf({ choose, wires, name }: Growth): Draft | undefined {
  const x = wires[choose(wires.length)] as Wire;
  const y = wires[choose(wires.length)] as Wire;
  const constants: Value[] = [];
  const ints = (list: readonly number[]): ValueId => {
    const id = `${name}.c${constants.length}`;
    constants.push(constant(id, numberTensor('int64', [list.length], list)));
    return id;
  };
  const one = (op: string, inputs: readonly ValueId[], more: Attributes = {}, outputs = [name]): Draft => ({
    nodes: [node(op, inputs, outputs, more)],
    constants,
  });
  const rank = x.dims.length;
  const axis = rank === 0 ? 0 : choose(rank);
  const numeric = x.dtype === 'float32' || x.dtype === 'int64';
  switch (choose(18)) {
    case 0: {
      const op = unaries[choose(unaries.length)] as string;
      if ((op === 'Not') !== (x.dtype === 'bool') && op !== 'Shape' && op !== 'Identity') return undefined;
      if (x.dtype === 'int64' && !['Shape', 'Identity', 'Abs', 'Neg', 'Flatten'].includes(op))
        return undefined;
      return op === 'Softmax' && rank === 0 ? undefined : one(op, [x.id]);
    }
    case 1:
    case 2:
      if (!numeric || x.dtype !== y.dtype || !broadcasts(x.dims, y.dims)) return undefined;
      return one(binaries[choose(binaries.length)] as string, [x.id, y.id]);
    case 3: {
      if (rank === 0) return undefined;
      const order = shuffled(rank, choose);
      return one('Transpose', [x.id], { perm: order });
    }
    case 4:
      if (x.dtype !== 'float32' || rank === 0) return undefined;
      return one(reductions[choose(reductions.length)] as string, [x.id], { keepdims: choose(2) });
    case 5:
      return rank === 0
        ? undefined
        : one('Concat', [x.id, x.id], { axis: choose(2) === 0 ? axis : axis - rank });
    case 6: {
      if (rank === 0) return undefined;
      const size = x.dims[axis] as number;
      const start = choose(size);
      const step = 1 + choose(2);
      return one('Slice', [
        x.id,
        ints([start]),
        ints([start + 1 + choose(size)]),
        ints([axis]),
        ints([step]),
      ]);
    }
    case 7:
      return one('Unsqueeze', [x.id, ints([choose(2) === 0 ? choose(rank + 1) : -1])]);
    case 8:
      return x.dims.includes(1) ? one('Squeeze', [x.id, ints([x.dims.indexOf(1)])]) : undefined;
    case 9:
      return one('Reshape', [x.id, ints(splitting(x.dims, choose))]);
    case 10:
      return reshapedByShape(x, choose, name);
    case 11: {
      if (x.dtype !== 'float32' || y.dtype !== 'float32' || rank < 2 || y.dims.length !== 2) return undefined;
      return x.dims.at(-1) === y.dims[0]
        ? one('MatMul', [x.id, y.id])
        : one('Gemm', [y.id, y.id], { transB: 1 });
    }
    case 12: {
      if (rank === 0 || (x.dims[axis] as number) % 2 !== 0) return undefined;
      return one('Split', [x.id], { axis }, [`${name}.a`, `${name}.b`]);
    }
    case 13:
      return rank === 0 ? undefined : one('Tile', [x.id, ints(x.dims.map(() => 1 + choose(2)))]);
    case 14:
      return rank === 0
        ? undefined
        : one('Gather', [x.id, ints([0, -1, (x.dims[axis] as number) - 1])], { axis });
    case 15:
      return x.dtype === 'float32' && rank > 0
        ? one('Pad', [x.id, ints([...x.dims.map(() => choose(2)), ...x.dims.map(() => choose(3))])])
        : undefined;
    case 16: {
      if (rank === 0 || x.dtype !== 'float32') return undefined;
      const k = ints([1 + choose(x.dims[axis] as number)]);
      return one('TopK', [x.id, k], { axis }, [`${name}.v`, `${name}.i`]);
    }
    default:
      return x.dtype === 'float32' && (rank === 3 || rank === 4)
        ? one('MaxPool', [x.id], {
            kernel_shape: Array(rank - 2).fill(2),
            strides: Array(rank - 2).fill(1 + choose(2)),
            ceil_mode: choose(2),
            pads: Array(2 * (rank - 2)).fill(choose(2)),
          })
        : one('Cast', [x.id], { to: [1, 7][choose(2)] as number });
  }
}

/** What exporters write for `x.reshape(x.shape[0], -1)`, `x.expand_as(…)` and the like. */
function reshapedByShape(x: Wire, choose: (limit: number) => number, name: string): Draft | undefined {
  if (x.dims.length === 0) return undefined;
  const zero = constant(`${name}.zero`, numberTensor('int64', [1], [0]));
  const rest = constant(`${name}.rest`, numberTensor('int64', [1], [-1]));
  const two = constant(`${name}.two`, numberTensor('int64', [1], [2]));
  const head = [
    node('Shape', [x.id], [`${name}.shape`]),
    node('Gather', [`${name}.shape`, zero.id], [`${name}.first`], { axis: 0 }),
  ];
  if (choose(2) === 0) {
    const nodes = [
      ...head,
      node('Concat', [`${name}.first`, rest.id], [`${name}.to`], { axis: 0 }),
      node('Reshape', [x.id, `${name}.to`], [name]),
    ];
    return { nodes, constants: [zero, rest] };
  }
  const nodes = [
    ...head,
    node('Mul', [`${name}.first`, two.id], [`${name}.twice`]),
    node('Concat', [`${name}.twice`, `${name}.first`], [`${name}.to`], { axis: 0 }),
    node('ConstantOfShape', [`${name}.to`], [name]),
  ];
  return { nodes, constants: [zero, two] };
}

function broadcasts(a: readonly number[], b: readonly number[]): boolean {
  return a.every((dim, axis) => {
    const other = b[axis + b.length - a.length];
    return other === undefined || other === dim || other === 1 || dim === 1;
  });
}

function shuffled(rank: number, choose: (limit: number) => number): readonly number[] {
  const order = Array.from({ length: rank }, (_, axis) => axis);
  for (let at = rank - 1; at > 0; at -= 1) {
    const other = choose(at + 1);
    [order[at], order[other]] = [order[other] as number, order[at] as number];
  }
  return order;
}

/** A target for Reshape: some leading sizes kept by 0, the rest in one. */
function splitting(dims: readonly number[], choose: (limit: number) => number): readonly number[] {
  const kept = choose(dims.length + 1);
  return [...Array<number>(kept).fill(0), -1, ...(choose(2) === 0 ? [1] : [])];
}
