import type { Bytes } from '../../ir/bytes.ts';
import type { ValueType } from '../../ir/types.ts';

/**
 * Where an IR object was read from: the payload of its message. The writer copies the payload of every object that is
 * still the very same value, so that a changed model differs from its file only where it was changed.
 */
const origins = new WeakMap<object, Bytes>();

export function setOrigin(object: object, payload: Bytes): void {
  origins.set(object, payload);
}

export function originOf(object: object): Bytes | undefined {
  return origins.get(object);
}

const infoOrigins = new WeakMap<object, { readonly name: string; readonly payload: Bytes }>();

/** Remembers the `ValueInfoProto` that declared a type. */
export function setInfoOrigin(type: ValueType, name: string, payload: Bytes): void {
  infoOrigins.set(type, { name, payload });
}

/** The stored `ValueInfoProto`, when this very type was declared for this very name. */
export function infoOriginOf(type: ValueType, name: string): Bytes | undefined {
  const origin = infoOrigins.get(type);
  return origin?.name === name ? origin.payload : undefined;
}

/** Fields of a message that the IR does not model, tags included, kept for the writer. */
export interface Leftover {
  readonly fields: readonly Bytes[];
}

/** Leftovers of a graph, and the stored order of its lists. */
export interface GraphLeftover extends Leftover {
  readonly initializers: readonly string[];
  readonly valueInfos: readonly string[];
}

/** An external tensor's reference, as stored. */
export interface ExternalReference {
  readonly location: string;
  readonly offset: number;
  readonly length: number | undefined;
  readonly checksum: string | undefined;
}

export interface TensorLeftover extends Leftover {
  readonly name: string;
  readonly external?: ExternalReference;
}
