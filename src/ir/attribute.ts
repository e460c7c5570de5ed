import type { Bytes } from './bytes.ts';
import type { Graph, Node } from './model.ts';
import type { Tensor } from './tensor.ts';
import type { ValueType } from './types.ts';

/**
 * An attribute of a node. Integers are numbers where they are safe and bigints beyond. `enum` and `bool` occur in
 * TFLite option tables only; `ref` is an ONNX function's reference to its caller's attribute.
 */
export type Attribute =
  | { readonly kind: 'int'; readonly value: number | bigint }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'enum'; readonly value: number; readonly name: string }
  | { readonly kind: 'string'; readonly value: Uint8Array }
  | { readonly kind: 'bytes'; readonly value: Bytes }
  | { readonly kind: 'tensor'; readonly value: Tensor }
  | { readonly kind: 'graph'; readonly value: Graph }
  | { readonly kind: 'type'; readonly value: ValueType }
  | { readonly kind: 'ints'; readonly value: readonly (number | bigint)[] }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly Uint8Array[] }
  | { readonly kind: 'tensors'; readonly value: readonly Tensor[] }
  | { readonly kind: 'graphs'; readonly value: readonly Graph[] }
  | { readonly kind: 'types'; readonly value: readonly ValueType[] }
  | { readonly kind: 'ref'; readonly value: string }
  | { readonly kind: 'opaque'; readonly value: object };

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
