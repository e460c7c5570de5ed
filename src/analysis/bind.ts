import type { Graph, Model, Value } from '../ir/model.ts';
import { feedsOf } from '../ir/model.ts';
import type { Dim, Shape, ValueType } from '../ir/types.ts';
import { soundDim } from '../ops/dims.ts';

/** Numbers for free dimensions, by symbol, by input name (its first free dimension) or as `input[axis]`. */
export type Bindings = Readonly<Record<string, number>>;

/** The free dimensions of a model with the numbers they were given. */
export interface Bound {
  /** Shapes of the main graph's inputs after binding. */
  readonly inputs: ReadonlyMap<string, Shape>;
  /** Symbols that are still free; unnamed ones are called `input[axis]`. */
  readonly free: ReadonlySet<string>;
  /** The same text means that `apply` does the same. */
  readonly key: string;
  /** A declared type with bound symbols replaced; symbols that no input has are unknown. */
  apply(type: ValueType): ValueType;
}

/**
 * Binds the free dimensions of the main graph's inputs. A free leading dimension is the batch and is 1 unless bound;
 * any other stays a symbol, so that nothing derived from it is taken for a number.
 */
export function bindDimensions(model: Model, bind: Bindings): Bound {
  const symbols = new Map<string, number>();
  const feeds = feedsOf(model.graphs[0]);
  for (const feed of feeds) nameSymbols(feed, bind, symbols);
  const inputs = new Map<string, Shape>();
  const free = new Set<string>();
  for (const feed of feeds) {
    const shape = declaredShape(feed);
    if (shape === undefined) continue;
    const bound = shape.map((dim, axis) => {
      if (typeof dim === 'number') return dim;
      const name = dim ?? `${feed.id}[${axis}]`;
      const value = symbols.get(name);
      if (value === undefined) free.add(name);
      return value ?? name;
    });
    inputs.set(feed.id, bound);
  }
  return boundTo(inputs, free, symbols);
}

/** These symbols have numbers, those are free; all others are unknown, because files use them carelessly. */
export function boundTo(
  inputs: ReadonlyMap<string, Shape>,
  free: ReadonlySet<string>,
  symbols: ReadonlyMap<string, number>,
): Bound {
  const dimOf = (dim: Dim): Dim =>
    typeof dim === 'string' ? (symbols.get(dim) ?? (free.has(dim) ? dim : null)) : soundDim(dim);
  const key = JSON.stringify([[...symbols], [...free]]);
  return { inputs, free, key, apply: (type) => substitute(type, dimOf) };
}

/** Every name that `bind` takes for a model: symbols, inputs with a free dimension, and `input[axis]`. */
export function bindable(model: Model): ReadonlySet<string> {
  const names = new Set<string>();
  for (const feed of feedsOf(model.graphs[0])) {
    declaredShape(feed)?.forEach((dim, axis) => {
      if (typeof dim === 'number' && feed.signature?.[axis] !== -1) return;
      names.add(feed.id).add(`${feed.id}[${axis}]`);
      if (typeof dim === 'string') names.add(dim);
    });
  }
  return names;
}

/** A TFLite dimension that may be resized has its present size in the shape and -1 in the signature. */
function declaredShape(feed: Value): Shape | undefined {
  const type = feed.type;
  return type?.kind === 'tensor' || type?.kind === 'sparse' ? type.shape?.map(soundDim) : undefined;
}

function nameSymbols(feed: Value, bind: Bindings, symbols: Map<string, number>): void {
  let ownUsed = false;
  declaredShape(feed)?.forEach((dim, axis) => {
    if (typeof dim === 'number') return;
    const name = dim ?? `${feed.id}[${axis}]`;
    const own = ownUsed ? undefined : bind[feed.id];
    ownUsed = true;
    const given = bind[name] ?? bind[`${feed.id}[${axis}]`] ?? own;
    if (given !== undefined) symbols.set(name, given);
    else if (axis === 0 && !symbols.has(name)) symbols.set(name, 1);
  });
}

/** Present sizes of resizable TFLite inputs, replaced by those that were asked for. */
export function resized(graph: Graph, bind: Bindings): ReadonlyMap<string, Shape> {
  const shapes = new Map<string, Shape>();
  for (const feed of feedsOf(graph)) {
    const shape = declaredShape(feed);
    const first = feed.signature?.indexOf(-1) ?? -1;
    if (shape === undefined || first < 0) continue;
    const changed = shape.map((dim, axis) => {
      const own = axis === first ? bind[feed.id] : undefined;
      const given = bind[`${feed.id}[${axis}]`] ?? own;
      return feed.signature?.[axis] === -1 && given !== undefined ? given : dim;
    });
    shapes.set(feed.id, changed);
  }
  return shapes;
}

function substitute(type: ValueType, dimOf: (dim: Dim) => Dim): ValueType {
  if (type.kind === 'sequence' || type.kind === 'optional') {
    return { ...type, element: substitute(type.element, dimOf) };
  }
  if ((type.kind !== 'tensor' && type.kind !== 'sparse') || type.shape === undefined) return type;
  if (type.shape.every((dim) => typeof dim === 'number' && dim >= 0)) return type;
  return { ...type, shape: type.shape.map(dimOf) };
}
