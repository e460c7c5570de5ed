import { onnxHeader, tfliteHeader } from './header.ts';
import type { PrintedGraph, TextForm } from './form.ts';
import type { Attribute, FunctionDef, Graph, Model, Node, NodeId, Value, ValueId } from '../../ir/model.ts';
import type { ValueType } from '../../ir/types.ts';
import { formatAttributes } from './attributes.ts';
import { formatQuantization, formatTensor, formatType, identifier } from './tokens.ts';

/** VS Code stops colouring and folding texts beyond 20 MB; UTF-16 units, with some room for its own count. */
const editorLimit = 19_000_000;
/** From here on a text would not fit anyway, at some 200 characters a line. */
const briefLayers = 80_000;

interface PrintOptions {
  /** Inferred types, for values whose type the file does not declare in full. */
  readonly types?: (graph: Graph, value: ValueId) => ValueType | undefined;
}

/**
 * Prints a model in a grammar close to ONNX's text syntax: a header, then every graph with its inputs and outputs and one
 * line per operator. Large constants are elided to their type and size, so the text of a model of any size stays small;
 * texts that an editor would not colour any more also leave out what repeats: names of operators that their result's name
 * begins with, and attributes beyond the first four.
 */
export function printModel(model: Model, options: PrintOptions = {}): TextForm {
  const layers = model.graphs.reduce((sum, { nodes }) => sum + nodes.length, 0);
  if (layers > briefLayers) return printWith(new Printer(options, true), model);
  const form = printWith(new Printer(options, false), model);
  return form.text.length <= editorLimit ? form : printWith(new Printer(options, true), model);
}

function printWith(printer: Printer, model: Model): TextForm {
  printer.header(model);
  model.graphs.forEach((graph, index) => {
    const name = graph.name === '' ? (index === 0 ? 'main' : `subgraph_${index}`) : graph.name;
    printer.graph(graph, name, index === 0 ? 'main' : 'subgraph');
  });
  if (model.dialect === 'onnx') for (const each of model.functions) printer.function(each);
  return printer.finish();
}

/** A graph being printed; names that it does not know belong to `outer`. */
interface Scope {
  readonly graph: Graph;
  readonly outer: Scope | undefined;
  readonly defined: Set<ValueId>;
  /** Numbers of the values that were printed. */
  readonly numbers: Map<ValueId, number>;
}

interface GraphStyle {
  readonly depth?: number;
  readonly outer?: Scope;
  readonly prefix?: string;
  readonly suffix?: string;
  readonly blank?: boolean;
}

class Printer {
  readonly #types: PrintOptions['types'];
  readonly #lines: string[] = [];
  readonly #layers: NodeId[] = [];
  readonly #layerLines: number[] = [];
  readonly #graphs: PrintedGraph[] = [];
  readonly #values: string[] = [];
  /** The same as identifiers. */
  readonly #printed: string[] = [];
  readonly #places = {
    value: new Column(),
    line: new Column(),
    start: new Column(),
    end: new Column(),
    definition: new Column(),
  };
  #line = '';

  readonly #brief: boolean;

  constructor(options: PrintOptions, brief: boolean) {
    this.#types = options.types;
    this.#brief = brief;
  }

  finish(): TextForm {
    const { value, line, start, end, definition } = this.#places;
    return {
      text: `${this.#lines.join('\n')}\n`,
      layers: this.#layers,
      layerLines: Uint32Array.from(this.#layerLines),
      names: {
        values: this.#values,
        value: value.numbers(),
        line: line.numbers(),
        start: start.numbers(),
        end: end.numbers(),
        definition: Uint8Array.from(definition.numbers()),
      },
      graphs: this.#graphs,
    };
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
    this.graph(def.graph, `${def.name}${overload}`, 'function', { suffix: list, blank: false });
  }

  graph(graph: Graph, name: string, kind: PrintedGraph['kind'], style: GraphStyle = {}): void {
    const { depth = 0, outer } = style;
    if (depth === 0 && style.blank !== false) this.#put('');
    const scope: Scope = { graph, outer, defined: new Set(), numbers: new Map() };
    const index = this.#graphs.length;
    const printed = { name, kind, line: this.#lines.length };
    this.#graphs.push({ ...printed, end: printed.line });
    const indent = '  '.repeat(depth);
    this.#line = `${indent}${style.prefix ?? ''}${identifier(name)}${style.suffix ?? ''} (`;
    this.#parameters(graph.inputs, scope, 'definition');
    this.#line += ') => (';
    this.#parameters(graph.outputs, scope, 'use');
    this.#line += ') {';
    this.#flush();
    for (const node of graph.nodes) this.#node(node, scope, depth + 1);
    this.#graphs[index] = { ...printed, end: this.#lines.length };
    this.#put(`${indent}}`);
  }

  #parameters(ids: readonly ValueId[], scope: Scope, role: 'definition' | 'use'): void {
    ids.forEach((id, index) => {
      if (index > 0) this.#line += ', ';
      const value = scope.graph.values.get(id);
      this.#line += `${formatType(this.#typeOf(scope.graph, id))}${formatQuantization(value?.quantization)} `;
      if (role === 'use') return this.#mention(id, scope);
      this.#define(id, scope);
      // Old ONNX files list their weights among the inputs.
      if (value?.constant !== undefined) this.#line += `: ${formatTensor(value.constant)}`;
    });
  }

  #node(node: Node, scope: Scope, depth: number): void {
    this.#layers.push(node.id);
    this.#layerLines.push(this.#lines.length);
    this.#line = '  '.repeat(depth);
    if (node.name !== '' && !(this.#brief && node.outputs[0]?.startsWith(node.name) === true))
      this.#line += `[${identifier(node.name)}] `;
    this.#outputs(node.outputs, scope);
    const domain = node.domain === '' ? '' : `${identifier(node.domain)}.`;
    const overload =
      node.overload === undefined || node.overload === '' ? '' : `:${identifier(node.overload)}`;
    this.#line += `${domain}${identifier(node.op)}${overload}${formatAttributes(node, this.#brief ? 4 : undefined)} (`;
    this.#arguments(node.inputs, scope);
    this.#line += ')';
    this.#flush();
    for (const [name, attribute] of node.attributes) this.#bodies(name, attribute, scope, depth + 1);
  }

  #bodies(name: string, attribute: Attribute, scope: Scope, depth: number): void {
    const bodies =
      attribute.kind === 'graph' ? [attribute.value] : attribute.kind === 'graphs' ? attribute.value : [];
    for (const body of bodies)
      this.graph(body, body.name, 'body', { depth, outer: scope, prefix: `${identifier(name)} = graph ` });
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
    this.#place(id, scope, !again);
  }

  #mention(id: ValueId, scope: Scope): void {
    let owner: Scope | undefined = scope;
    while (owner !== undefined && !owner.defined.has(id) && !owner.graph.values.has(id)) owner = owner.outer;
    this.#place(id, owner ?? scope, false);
  }

  #place(id: ValueId, scope: Scope, defined: boolean): void {
    let number = scope.numbers.get(id);
    if (number === undefined) {
      number = this.#values.push(id) - 1;
      this.#printed.push(identifier(id));
      scope.numbers.set(id, number);
    }
    const { value, line, start, end, definition } = this.#places;
    value.push(number);
    line.push(this.#lines.length);
    start.push(this.#line.length);
    this.#line += this.#printed[number];
    end.push(this.#line.length);
    definition.push(defined ? 1 : 0);
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

/** Numbers in a growing typed array. */
class Column {
  #data = new Uint32Array(1024);
  #length = 0;

  push(number: number): void {
    if (this.#length === this.#data.length) {
      const larger = new Uint32Array(2 * this.#length);
      larger.set(this.#data);
      this.#data = larger;
    }
    this.#data[this.#length] = number;
    this.#length += 1;
  }

  /** A copy of its own size: the whole buffer behind a view would be sent. */
  numbers(): Uint32Array {
    return this.#data.slice(0, this.#length);
  }
}

/** A declared type says it all when every dimension is a number or a symbol. */
function isComplete(type: ValueType | undefined): boolean {
  if (type === undefined) return false;
  if (type.kind !== 'tensor' && type.kind !== 'sparse') return true;
  return type.shape !== undefined && !type.shape.includes(null);
}
