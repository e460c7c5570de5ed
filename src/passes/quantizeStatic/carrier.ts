import type { Graph, Node, ValueId } from '../../ir/model.ts';
import { readFloats } from '../../ir/numbers.ts';
import { readableConstant } from '../support/constants.ts';
import { isOnnxOp, soleReader } from '../support/graph.ts';

/** The value that is quantized for a result. */
export interface Carrier {
  readonly value: ValueId;
  /** The operator that follows, when the value is its result. */
  readonly merged?: Node;
  /** Upper bound of a Clip that the encoding makes superfluous. */
  readonly cap?: number;
}

/** After a Relu or Clip that follows alone, as the runtime merges those; otherwise the result itself. */
export function carrierOf(graph: Graph, output: ValueId): Carrier {
  const reader = soleReader(graph, output);
  const after = reader?.outputs[0];
  if (reader === undefined || after == null || reader.inputs[0] !== output) return { value: output };
  if (isOnnxOp(reader, 'Relu')) return { value: after, merged: reader };
  const cap = upperBound(graph, reader);
  return cap === undefined ? { value: output } : { value: after, cap, merged: reader };
}

/** The upper bound of a Clip from 0 to a constant. */
export function upperBound(graph: Graph, node: Node): number | undefined {
  if (!isOnnxOp(node, 'Clip')) return undefined;
  const bound = (index: number, name: string) => {
    const attribute = node.attributes.get(name);
    if (attribute?.kind === 'float') return attribute.value;
    const tensor = readableConstant(graph, node.inputs[index]);
    return tensor && readFloats(tensor)[0];
  };
  const high = bound(2, 'max');
  return bound(1, 'min') === 0 && high !== undefined && high > 0 ? high : undefined;
}
