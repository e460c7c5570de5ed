import type { Attribute, Graph, Node, NodeId, OnnxModel, ValueId } from '../../ir/model.ts';
import type { DType } from '../../ir/dtype.ts';
import type { ValueType } from '../../ir/types.ts';
import { indexOf } from '../../ir/walk.ts';
import { formatAttribute } from './attributes.ts';
import { quoteBytes } from './tokens.ts';

/** Names of element types in ONNX's own text syntax. */
const typeNames: Partial<Record<DType, string>> = {
  float32: 'float',
  float64: 'double',
  undefined: 'undefined',
};

/** Kinds of attributes as the syntax spells them. */
const kindNames: Partial<Record<Attribute['kind'], string>> = {
  int: 'int',
  bool: 'int',
  float: 'float',
  string: 'string',
  ints: 'ints',
  floats: 'floats',
  strings: 'strings',
};

/**
 * Layers of the main graph as a graph in ONNX's text syntax (onnx/docs/Syntax.md): inputs are what the layers read from
 * outside, weights among them, outputs what others read. Weights are named with their types, not written out.
 */
export function printOnnxSyntax(
  model: OnnxModel,
  layers: ReadonlySet<NodeId> | undefined,
  typeOf: (graph: Graph, value: ValueId) => ValueType | undefined,
): string {
  const graph = model.graphs[0];
  const nodes = graph.nodes.filter((node) => layers?.has(node.id) !== false);
  const { inputs, outputs } = edgesOf(graph, nodes);
  const parameter = (id: ValueId) =>
    `${onnxType(typeOf(graph, id) ?? graph.values.get(id)?.type)} ${name(id)}`;
  const opsets = [...model.opsets].map(([domain, version]) => `${JSON.stringify(domain)} : ${version}`);
  return [
    `<ir_version: ${model.irVersion}, opset_import: [${opsets.join(', ')}]>`,
    `${name(graph.name === '' ? 'graph' : graph.name)} (${inputs.map(parameter).join(', ')}) => (${outputs.map(parameter).join(', ')})`,
    '{',
    ...nodes.map((node) => `   ${nodeText(node)}`),
    '}',
    '',
  ].join('\n');
}

/** What the chosen nodes read from elsewhere, and what others read of them. */
function edgesOf(
  graph: Graph,
  nodes: readonly Node[],
): { readonly inputs: readonly ValueId[]; readonly outputs: readonly ValueId[] } {
  const chosen = new Set(nodes);
  const made = new Set(nodes.flatMap(({ outputs }) => outputs));
  const inputs = new Set<ValueId>();
  for (const node of nodes)
    for (const id of node.inputs) if (id !== null && id !== '' && !made.has(id)) inputs.add(id);
  const { uses, isOutput } = indexOf(graph);
  const outputs = nodes
    .flatMap((node) => node.outputs)
    .filter((id): id is ValueId => id !== null && id !== '')
    .filter((id) => isOutput.has(id) || (uses.get(id) ?? []).some((use) => !chosen.has(use.node)));
  return { inputs: [...inputs], outputs };
}

function nodeText(node: Node): string {
  const list = (ids: readonly (ValueId | null)[]) =>
    ids.map((id) => (id === null ? '' : name(id))).join(', ');
  const label = node.name === '' ? '' : `[${name(node.name)}] `;
  const domain = node.domain === '' ? '' : `${node.domain}.`;
  const attributes = [...node.attributes].flatMap(([key, attribute]) => attributeText(key, attribute));
  const settings = attributes.length === 0 ? '' : ` <${attributes.join(', ')}>`;
  return `${label}${list(node.outputs)} = ${domain}${node.op}${settings} (${list(node.inputs)})`;
}

function attributeText(key: string, attribute: Attribute): readonly string[] {
  const kind = kindNames[attribute.kind];
  if (attribute.kind === 'ref') return [`${key} = @${attribute.value}`];
  if (attribute.kind === 'ints' || attribute.kind === 'floats')
    return [`${key}: ${kind ?? ''} = [${attribute.value.join(', ')}]`];
  if (attribute.kind === 'strings')
    return [`${key}: strings = [${attribute.value.map((each) => quoteBytes(each)).join(', ')}]`];
  const value = formatAttribute(attribute);
  return kind === undefined || value === undefined ? [] : [`${key}: ${kind} = ${value}`];
}

/** `float[1,3,?,N]`; a scalar is `float[]`. */
function onnxType(type: ValueType | undefined): string {
  if (type?.kind !== 'tensor') return 'undefined';
  const base = typeNames[type.dtype] ?? type.dtype;
  if (type.shape === undefined) return base;
  const dims = type.shape.map((dim) =>
    dim === null ? '?' : typeof dim === 'number' ? String(dim) : name(dim),
  );
  return `${base}[${dims.join(',')}]`;
}

/** Identifiers are bare where the syntax allows it, else quoted. */
function name(id: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(id) ? id : JSON.stringify(id);
}
