import type { Graph, Model, Node, ValueId } from '../../ir/model.ts';
import { readFloats, readIntegers } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import type { TensorInfo } from '../runner.ts';

type Scale = NonNullable<TensorInfo['quantization']>;

/**
 * ONNX has no scales on values: an integer input means real numbers when nothing but DequantizeLinear reads it, an
 * integer output when QuantizeLinear makes it, by the one scale that stands there. Ends of other models are absent.
 */
export function scalesOfEnds(model: Model): ReadonlyMap<ValueId, Scale> {
  const [graph] = model.graphs;
  const { uses, producer } = indexOf(graph);
  const found = new Map<ValueId, Scale>();
  const keep = (id: ValueId, nodes: readonly Node[], op: string) => {
    const scales = nodes.map((node) => (node.op === op ? scaleOf(graph, node) : undefined));
    const [first] = scales;
    const same = scales.every((each) => each?.scale === first?.scale && each?.zeroPoint === first?.zeroPoint);
    if (first !== undefined && same) found.set(id, first);
  };
  for (const id of graph.inputs)
    if (!graph.outputs.includes(id))
      keep(
        id,
        (uses.get(id) ?? []).map(({ node }) => node),
        'DequantizeLinear',
      );
  for (const id of graph.outputs) {
    const made = producer.get(id);
    if (made !== undefined) keep(id, [made], 'QuantizeLinear');
  }
  return found;
}

/** Scale and zero point of a Q or DQ for the whole tensor, when they are stored. */
function scaleOf(graph: Graph, node: Node): Scale | undefined {
  const stored = (place: number) => {
    const id = node.inputs[place];
    return id === null || id === undefined ? undefined : graph.values.get(id)?.constant;
  };
  const [scale, zero] = [stored(1), stored(2)];
  if (scale === undefined || scale.data.missing !== undefined || scale.dims.some((dim) => dim !== 1)) return;
  const given = node.inputs[2] !== undefined && node.inputs[2] !== null;
  if (given && (zero === undefined || zero.data.missing !== undefined)) return;
  const [value] = readFloats(scale);
  if (value === undefined || !(value > 0)) return;
  return { scale: value, zeroPoint: zero === undefined ? 0 : (readIntegers(zero)[0] ?? 0) };
}

export function withScale(info: TensorInfo, scales: ReadonlyMap<ValueId, Scale>): TensorInfo {
  const quantization = scales.get(info.name);
  return quantization === undefined ? info : { ...info, quantization };
}

/** Whether an end may stand for real numbers. */
export function isCode({ dtype }: TensorInfo): boolean {
  return dtype === 'int8' || dtype === 'uint8' || dtype === 'int16' || dtype === 'uint16';
}
