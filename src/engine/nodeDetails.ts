import type { Analysis, LayerCost } from '../analysis/report.ts';
import { formatAttribute } from '../formats/text/attributes.ts';
import { KerfError } from '../ir/errors.ts';
import type { Graph, Model, Node, NodeId, Quantization, ValueId } from '../ir/model.ts';
import { describeType } from '../ir/types.ts';
import { graphsOf, indexOf } from '../ir/walk.ts';
import { operatorOf } from '../ops/registry.ts';
import type { Pass } from '../passes/pass.ts';
import type { Finding } from '../rules/rule.ts';
import type { LayerRow, NodeDetails, ValueDetails } from './answers.ts';

/** A layer's costs as they go over the wire: unknown is null. */
export function layerRow(layer: LayerCost): LayerRow {
  const { id, name, op, params, weightBytes, outputShapes } = layer;
  return {
    id,
    name,
    op,
    params,
    macs: layer.macs ?? null,
    flops: layer.flops ?? null,
    weightBytes,
    activationBytes: layer.activationBytes ?? null,
    outputShapes,
  };
}

/** The graph that holds a node. Throws `KerfError('not-found')`. */
export function findNode(model: Model, id: string): { graph: Graph; node: Node; graphNumber: number } {
  let graphNumber = 0;
  for (const graph of graphsOf(model)) {
    const node = indexOf(graph).node.get(id);
    if (node !== undefined) return { graph, node, graphNumber };
    graphNumber += 1;
  }
  throw new KerfError('not-found', `the model has no layer '${id}'`);
}

const costs = new WeakMap<Analysis, ReadonlyMap<NodeId, LayerCost>>();

/** Costs of the layers of the main graph, and of those in bodies for one run of theirs. */
function costsOf(analysis: Analysis): ReadonlyMap<NodeId, LayerCost> {
  let known = costs.get(analysis);
  if (known === undefined) {
    const nested = analysis.bodies.flatMap(({ layers }) =>
      layers.map((layer) => ({ ...layer, formula: `${layer.formula}; for one run of the body` })),
    );
    known = new Map([...nested, ...analysis.layers].map((layer) => [layer.id, layer]));
    costs.set(analysis, known);
  }
  return known;
}

/** Everything the details panel shows of one layer. */
export function nodeDetails(
  model: Model,
  analysis: Analysis,
  id: string,
  passes: readonly Pass[],
  findings: readonly Finding[],
): NodeDetails {
  const { graph, node, graphNumber } = findNode(model, id);
  const cost = costsOf(analysis).get(id);
  const details = (value: ValueId | null, index: number, side: 'input' | 'output') =>
    value === null ? undefined : valueDetails(model, graph, node, analysis, value, index, side);
  const present = (value: ValueDetails | undefined): value is ValueDetails => value !== undefined;
  return {
    id,
    name: node.name,
    op: node.op,
    domain: node.domain,
    graph: graphNumber,
    cost:
      cost === undefined
        ? costOfNested(node)
        : { ...layerRow(cost), formula: cost.formula, inputBytes: cost.inputBytes ?? null },
    attributes: [...node.attributes].map(([name, value]) => ({
      name,
      value: formatAttribute(value) ?? 'a graph',
    })),
    inputs: node.inputs.map((value, i) => details(value, i, 'input')).filter(present),
    outputs: node.outputs.map((value, i) => details(value, i, 'output')).filter(present),
    passes: passes
      .filter((pass) => pass.dialects.includes(model.dialect) && pass.appliesTo?.(node, model) === true)
      .map((pass) => pass.id),
    findings: findings.filter((finding) => finding.layer === id || finding.layers?.includes(id) === true),
  };
}

/** Layers of bodies that the analysis did not reach are priced with the layer that runs them, or not at all. */
function costOfNested({ id, name, op }: Node): NodeDetails['cost'] {
  const unknown = { macs: null, flops: null, activationBytes: null, inputBytes: null };
  const none = { params: 0, weightBytes: 0, outputShapes: [] };
  return { id, name, op, ...none, ...unknown, formula: 'counted with the layer that runs this body' };
}

function valueDetails(
  model: Model,
  graph: Graph,
  node: Node,
  analysis: Analysis,
  id: ValueId,
  index: number,
  side: 'input' | 'output',
): ValueDetails {
  const value = graph.values.get(id);
  const { producer, uses } = indexOf(graph);
  const peers = side === 'input' ? [producer.get(id)?.id] : (uses.get(id) ?? []).map((use) => use.node.id);
  const type = analysis.types.get(graph)?.get(id) ?? value?.type;
  return {
    name: value?.name ?? id,
    value: id,
    role: side === 'input' ? roleOf(model, node, index) : `output ${index}`,
    type: describeType(type),
    constant: value?.constant !== undefined,
    bytes: value?.constant?.data.length ?? null,
    quantization: value?.quantization === undefined ? null : quantizationText(value.quantization),
    peers: [...new Set(peers)].filter((peer) => peer !== undefined),
  };
}

function roleOf(model: Model, node: Node, index: number): string {
  for (const role of operatorOf(model, node)?.weights?.(node, model) ?? []) {
    if (role.input === index) return 'weight';
    if (role.bias === index) return 'bias';
    if (role.activation === index) return 'activation';
  }
  return `input ${index}`;
}

/** `scale 0.0123, zero point -3`; per channel: how many and along which axis. */
function quantizationText({ scale, zeroPoint, axis }: Quantization): string {
  if (scale.length === 0) return 'none';
  if (scale.length === 1)
    return `scale ${Number((scale[0] as number).toPrecision(6))}, zero point ${zeroPoint[0] ?? 0}`;
  let low = Infinity;
  let high = -Infinity;
  for (const each of scale) {
    low = Math.min(low, each);
    high = Math.max(high, each);
  }
  return `${scale.length} scales along axis ${axis}, ${low.toPrecision(4)} to ${high.toPrecision(4)}`;
}
