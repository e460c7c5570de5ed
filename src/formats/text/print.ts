import type { Attribute } from '../../ir/attribute.ts';
import type {
  FunctionDef,
  Graph,
  Model,
  Node,
  NodeId,
  OnnxModel,
  TfliteModel,
  Value,
  ValueId,
} from '../../ir/model.ts';
import type { ValueType } from '../../ir/types.ts';
import { formatAttributes } from './attributes.ts';
import { formatBytes, formatQuantization, formatTensor, formatType, identifier } from './tokens.ts';

/** One place where a value's name stands in the text. Lines and columns count from 0; `end` is exclusive. */
export interface TextSpan {
  readonly value: ValueId;
  readonly line: number;
  readonly start: number;
  readonly end: number;
  readonly role: 'definition' | 'use';
  /** Number of the printed graph the value belongs to: names are only unique within a graph. */
  readonly scope: number;
}

/** The text form: one operator per line. `layers` gives the zero-based line of each operator, bodies included. */
export interface TextForm {
  readonly text: string;
  readonly layers: readonly { readonly id: NodeId; readonly line: number }[];
  readonly definitions: readonly TextSpan[];
}

export interface PrintOptions {
  /** Inferred types, for values whose type the file does not declare in full. */
  readonly types?: (graph: Graph, value: ValueId) => ValueType | undefined;
}

/**
 * Prints a model in a grammar close to ONNX's text syntax: a header, then every graph with its inputs and outputs and one
 * line per operator. Large constants are elided to their type and size, so the text of a model of any size stays small.
 */
export function printModel(model: Model, options: PrintOptions = {}): TextForm {
  const printer = new Printer(options);
  printer.header(model);
  model.graphs.forEach((graph, index) => {
    const name = graph.name === '' ? (index === 0 ? 'main' : `subgraph_${index}`) : graph.name;
    printer.graph(graph, name, 0, undefined);
  });
  if (model.dialect === 'onnx') for (const each of model.functions) printer.function(each);
  return printer.finish();
}

/** A graph being printed; names that it does not know belong to `outer`. */
interface Scope {
  readonly graph: Graph;
  readonly number: number;
  readonly outer: Scope | undefined;
  readonly defined: Set<ValueId>;
}

class Printer {
  readonly #types: PrintOptions['types'];
  readonly #lines: string[] = [];
  readonly #layers: { id: NodeId; line: number }[] = [];
  readonly #spans: TextSpan[] = [];
  #line = '';
  #scopes = 0;

  constructor(options: PrintOptions) {
    this.#types = options.types;
  }

  finish(): TextForm {
    return { text: `${this.#lines.join('\n')}\n`, layers: this.#layers, definitions: this.#spans };
  }

  header(model: Model): void {
    this.#put('<');
    for (const line of model.dialect === 'onnx' ? onnxHeader(model) : tfliteHeader(model))
      this.#put(`  ${line}`);
    this.#put('>');
  }

  function(def: FunctionDef): void {
    const opsets = [...def.opsets].map(([domain, version]) => `${JSON.stringify(domain)} : ${version}`);
    this.#put('');
    this.#put(`<domain: ${JSON.stringify(def.domain)}, opset_import: [${opsets.join(', ')}]>`);
    const overload = def.overload === '' ? '' : `:${identifier(def.overload)}`;
    const attributes = [...def.attributes.map(identifier), ...[...def.defaults.keys()].map(identifier)];
    const list = attributes.length === 0 ? '' : ` <${attributes.join(', ')}>`;
    this.graph(def.graph, `${def.name}${overload}`, 0, undefined, { suffix: list, blank: false });
  }

  graph(
    graph: Graph,
    name: string,
    depth: number,
    outer: Scope | undefined,
    style: { prefix?: string; suffix?: string; blank?: boolean } = {},
  ): void {
    if (depth === 0 && style.blank !== false) this.#put('');
    const scope: Scope = { graph, number: this.#scopes, outer, defined: new Set() };
    this.#scopes += 1;
    const indent = '  '.repeat(depth);
    this.#line = `${indent}${style.prefix ?? ''}${identifier(name)}${style.suffix ?? ''} (`;
    this.#parameters(graph.inputs, scope, 'definition');
    this.#line += ') => (';
    this.#parameters(graph.outputs, scope, 'use');
    this.#line += ') {';
    this.#flush();
    for (const node of graph.nodes) this.#node(node, scope, depth + 1);
    this.#put(`${indent}}`);
  }

  #parameters(ids: readonly ValueId[], scope: Scope, role: TextSpan['role']): void {
    ids.forEach((id, index) => {
      if (index > 0) this.#line += ', ';
      const value = scope.graph.values.get(id);
      this.#line += `${formatType(this.#typeOf(scope.graph, id))}${formatQuantization(value?.quantization)} `;
      if (role === 'definition') this.#define(id, scope);
      else this.#mention(id, scope);
    });
  }

  #node(node: Node, scope: Scope, depth: number): void {
    this.#layers.push({ id: node.id, line: this.#lines.length });
    this.#line = '  '.repeat(depth);
    if (node.name !== '') this.#line += `[${identifier(node.name)}] `;
    this.#outputs(node.outputs, scope);
    const domain = node.domain === '' ? '' : `${identifier(node.domain)}.`;
    const overload =
      node.overload === undefined || node.overload === '' ? '' : `:${identifier(node.overload)}`;
    this.#line += `${domain}${identifier(node.op)}${overload}${formatAttributes(node)} (`;
    this.#arguments(node.inputs, scope);
    this.#line += ')';
    this.#flush();
    for (const [name, attribute] of node.attributes) this.#bodies(name, attribute, scope, depth + 1);
  }

  #bodies(name: string, attribute: Attribute, scope: Scope, depth: number): void {
    const bodies =
      attribute.kind === 'graph' ? [attribute.value] : attribute.kind === 'graphs' ? attribute.value : [];
    for (const body of bodies)
      this.graph(body, body.name, depth, scope, { prefix: `${identifier(name)} = graph ` });
  }

  #outputs(outputs: Node['outputs'], scope: Scope): void {
    outputs.forEach((id, index) => {
      if (index > 0) this.#line += ', ';
      if (id === null) {
        this.#line += '_';
        return;
      }
      const value = scope.graph.values.get(id);
      this.#line += `${formatType(this.#typeOf(scope.graph, id))}${formatQuantization(value?.quantization)} `;
      this.#define(id, scope);
    });
    if (outputs.length > 0) this.#line += ' = ';
  }

  #arguments(inputs: Node['inputs'], scope: Scope): void {
    inputs.forEach((id, index) => {
      if (index > 0) this.#line += ', ';
      if (id === null) {
        this.#line += '_';
        return;
      }
      const value = scope.graph.values.get(id);
      if (value?.constant === undefined || scope.defined.has(id)) this.#mention(id, scope);
      else this.#constant(value, scope);
    });
  }

  /** A constant is declared where it is first read: its type, then its content or its size. */
  #constant(value: Value, scope: Scope): void {
    this.#define(value.id, scope);
    if (value.constant !== undefined)
      this.#line += `: ${formatTensor(value.constant)}${formatQuantization(value.quantization)}`;
  }

  #define(id: ValueId, scope: Scope): void {
    const again = scope.defined.has(id);
    scope.defined.add(id);
    this.#span(id, again ? 'use' : 'definition', scope.number);
  }

  #mention(id: ValueId, scope: Scope): void {
    let owner: Scope | undefined = scope;
    while (owner !== undefined && !owner.defined.has(id) && !owner.graph.values.has(id)) owner = owner.outer;
    this.#span(id, 'use', (owner ?? scope).number);
  }

  #span(id: ValueId, role: TextSpan['role'], scope: number): void {
    const start = this.#line.length;
    this.#line += identifier(id);
    this.#spans.push({ value: id, line: this.#lines.length, start, end: this.#line.length, role, scope });
  }

  #typeOf(graph: Graph, id: ValueId): ValueType | undefined {
    const declared = graph.values.get(id)?.type;
    return isComplete(declared) ? declared : (this.#types?.(graph, id) ?? declared);
  }

  #flush(): void {
    this.#lines.push(this.#line);
    this.#line = '';
  }

  #put(line: string): void {
    this.#lines.push(line);
  }
}

/** A declared type says it all when every dimension is a number or a symbol. */
function isComplete(type: ValueType | undefined): boolean {
  if (type === undefined) return false;
  if (type.kind !== 'tensor' && type.kind !== 'sparse') return true;
  return type.shape !== undefined && !type.shape.includes(null);
}

function onnxHeader(model: OnnxModel): string[] {
  const opsets = [...model.opsets].map(([domain, version]) => `${JSON.stringify(domain)} : ${version}`);
  const lines = ['format: "onnx"', `ir_version: ${model.irVersion}`, `opset_import: [${opsets.join(', ')}]`];
  if (model.producerName !== '') lines.push(`producer_name: ${JSON.stringify(model.producerName)}`);
  if (model.producerVersion !== '') lines.push(`producer_version: ${JSON.stringify(model.producerVersion)}`);
  for (const [key, value] of model.metadata)
    lines.push(`metadata ${JSON.stringify(key)}: ${JSON.stringify(cut(value))}`);
  return lines;
}

function tfliteHeader(model: TfliteModel): string[] {
  const lines = ['format: "tflite"', `version: ${model.version}`];
  if (model.description !== '') lines.push(`description: ${JSON.stringify(cut(model.description))}`);
  for (const { name, data } of model.metadata)
    lines.push(`metadata ${JSON.stringify(name)}: bytes ${formatBytes(data.length)}`);
  for (const signature of model.signatures) {
    const names = (pairs: readonly (readonly [string, ValueId])[]) =>
      pairs.map(([name, id]) => `${identifier(name)} = ${identifier(id)}`).join(', ');
    lines.push(
      `signature ${JSON.stringify(signature.key)}: (${names(signature.inputs)}) => (${names(signature.outputs)})`,
    );
  }
  return lines;
}

function cut(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}
