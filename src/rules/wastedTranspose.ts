import { intsAttribute } from '../ir/attribute.ts';
import type { Graph, Model, Node } from '../ir/model.ts';
import { readIntegers } from '../ir/numbers.ts';
import { indexOf } from '../ir/walk.ts';
import { readableConstant } from '../passes/support/constants.ts';
import type { Rule } from './rule.ts';
import { joinsTheOutside } from './noOperation.ts';
import { count, onLayers } from './support.ts';

export const wastedTranspose: Rule = {
  id: 'wasted-transpose',
  severity: 'warning',
  title: 'Transposes that undo one another',
  manual: `A transpose restores the order that another one changed just before, or leaves the order as it is. Each copies the whole
tensor, in a pattern that caches do not like: on small processors a transpose may cost as much as a convolution.

**Example.** \`Transpose(0,2,3,1) → Transpose(0,3,1,2)\`, where two converters met.

**Remedy.** Run \`simplify\`.`,
  check({ model }) {
    const graph = model.graphs[0];
    const layers = graph.nodes.filter((node) => isWasted(node, graph, model)).map((node) => node.id);
    const title = `Remove ${count(layers.length, 'transpose')}, same result`;
    return onLayers(
      wastedTranspose,
      layers,
      (where) => `This transpose restores the order that was there before${where}.`,
      [{ pass: 'simplify', options: {}, title }],
    );
  },
};

function isWasted(node: Node, graph: Graph, model: Model): boolean {
  const second = orderOf(node, graph, model);
  const [source] = node.inputs;
  if (second === undefined || source === null || source === undefined) return false;
  if (isIdentity(second)) return !joinsTheOutside({ graph }, source, node);
  const before = indexOf(graph).producer.get(source);
  const first = before === undefined ? undefined : orderOf(before, graph, model);
  const [origin] = before?.inputs ?? [];
  if (first?.length !== second.length || origin === null || origin === undefined) return false;
  return isIdentity(second.map((axis) => first[axis] as number)) && !joinsTheOutside({ graph }, origin, node);
}

function orderOf(node: Node, graph: Graph, model: Model): readonly number[] | undefined {
  if (node.domain !== '') return undefined;
  if (model.dialect === 'onnx') return node.op === 'Transpose' ? intsAttribute(node, 'perm') : undefined;
  const order = node.op === 'TRANSPOSE' ? readableConstant(graph, node.inputs[1]) : undefined;
  return order === undefined ? undefined : readIntegers(order);
}

function isIdentity(order: readonly number[]): boolean {
  return order.every((axis, index) => axis === index);
}
