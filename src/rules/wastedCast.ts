import type { DType } from '../ir/dtype.ts';
import type { Graph, Node } from '../ir/model.ts';
import { indexOf } from '../ir/walk.ts';
import type { Rule, RuleContext } from './rule.ts';
import { joinsTheOutside } from './noOperation.ts';
import { typeIn } from './places.ts';
import { count, onLayers } from './support.ts';

/** Types that hold every value of another. */
const holds: Partial<Record<DType, readonly DType[]>> = {
  float32: ['float16', 'bfloat16', 'int8', 'uint8', 'int16', 'uint16', 'bool'],
  float64: ['float32', 'float16', 'bfloat16', 'int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'bool'],
  int64: ['int32', 'uint32', 'int16', 'uint16', 'int8', 'uint8', 'bool'],
  int32: ['int16', 'uint16', 'int8', 'uint8', 'bool'],
};

export const wastedCast: Rule = {
  id: 'wasted-cast',
  severity: 'warning',
  title: 'Casts that undo one another',
  manual: `A cast to the type that the value has already, or back to the type it had before a cast that lost nothing. Each copies the
tensor and keeps kernels from fusing.

**Example.** \`Cast(float16 → float32) → Cast(float32 → float16)\` between two half-precision layers.

**Remedy.** Run \`simplify\`, which removes casts to the same type; a pair goes when the converter is run again.`,
  check(context) {
    const graph = context.model.graphs[0];
    const same = graph.nodes.filter((node) => isSame(node, graph, context)).map((node) => node.id);
    const back = graph.nodes.filter((node) => isBack(node, graph, context)).map((node) => node.id);
    const title = `Remove ${count(same.length, 'cast')}, same result`;
    return [
      ...onLayers(wastedCast, same, (where) => `The value has this type already${where}.`, [
        { pass: 'simplify', options: {}, title },
      ]),
      ...onLayers(
        wastedCast,
        back,
        (where) => `This cast goes back to the type before the last one${where}.`,
      ),
    ];
  },
};

const casts = new Set(['Cast', 'CAST']);

function isSame(node: Node, graph: Graph, context: RuleContext): boolean {
  if (!casts.has(node.op)) return false;
  const from = typeIn(context, graph, node.inputs[0])?.dtype;
  const to = typeIn(context, graph, node.outputs[0])?.dtype;
  return from !== undefined && from === to && !joinsTheOutside({ graph }, node.inputs[0] ?? '', node);
}

function isBack(node: Node, graph: Graph, context: RuleContext): boolean {
  if (!casts.has(node.op) || isSame(node, graph, context)) return false;
  const before = indexOf(graph).producer.get(node.inputs[0] ?? '');
  if (before === undefined || !casts.has(before.op)) return false;
  const [first, middle, last] = [before.inputs[0], node.inputs[0], node.outputs[0]].map(
    (id) => typeIn(context, graph, id)?.dtype,
  );
  return (
    first !== undefined && first === last && middle !== undefined && holds[middle]?.includes(first) === true
  );
}
