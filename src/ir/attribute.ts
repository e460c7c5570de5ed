import type { Attribute, Graph, Node } from './model.ts';
import type { Tensor } from './tensor.ts';

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** The integer (or enum, or boolean as 0/1) attribute `name`, or `fallback` when absent. */
export function intAttribute(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes.get(name);
  if (attribute?.kind === 'int' || attribute?.kind === 'enum') return Number(attribute.value);
  if (attribute?.kind === 'bool') return attribute.value ? 1 : 0;
  return fallback;
}

export function floatAttribute(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'float' ? attribute.value : fallback;
}

export function intsAttribute(node: Node, name: string): readonly number[] | undefined {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'ints' ? attribute.value.map(Number) : undefined;
}

export function stringAttribute(node: Node, name: string, fallback: string): string {
  const attribute = node.attributes.get(name);
  if (attribute?.kind === 'string') return decoder.decode(attribute.value);
  return attribute?.kind === 'enum' ? attribute.name : fallback;
}

const noBodies: readonly Graph[] = [];

/** The graphs held by a node's attributes (bodies of If, Loop and Scan), in attribute order. */
export function bodiesOf(node: Node): readonly Graph[] {
  if (node.attributes.size === 0) return noBodies;
  let bodies: Graph[] | undefined;
  for (const attribute of node.attributes.values()) {
    if (attribute.kind === 'graph') (bodies ??= []).push(attribute.value);
    else if (attribute.kind === 'graphs') (bodies ??= []).push(...attribute.value);
  }
  return bodies ?? noBodies;
}

export const attr = {
  int: (value: number): Attribute => ({ kind: 'int', value }),
  float: (value: number): Attribute => ({ kind: 'float', value }),
  bool: (value: boolean): Attribute => ({ kind: 'bool', value }),
  ints: (value: readonly number[]): Attribute => ({ kind: 'ints', value }),
  floats: (value: readonly number[]): Attribute => ({ kind: 'floats', value }),
  string: (value: string): Attribute => ({ kind: 'string', value: encoder.encode(value) }),
  tensor: (value: Tensor): Attribute => ({ kind: 'tensor', value }),
};
