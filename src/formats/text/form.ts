import type { NodeId } from '../../ir/model.ts';

/**
 * The places of names in the text, as columns with one entry per place. A name is a value of one printed graph: names are
 * only unique within a graph. Lines and columns count from 0 in UTF-16 units; `end` is exclusive.
 */
interface NamePlaces {
  /** Values by number, as printed without quotes. */
  readonly values: readonly string[];
  /** Number of the value that stands at each place. Places are in the order of the text. */
  readonly value: Uint32Array;
  readonly line: Uint32Array;
  readonly start: Uint32Array;
  readonly end: Uint32Array;
  /** 1 where the value is defined, 0 where it is used. */
  readonly definition: Uint8Array;
}

/** A graph in the text: the main graph, a subgraph, a function, or the body of an operator. */
export interface PrintedGraph {
  readonly name: string;
  readonly kind: 'main' | 'subgraph' | 'function' | 'body';
  /** Lines of its head and of its closing brace. */
  readonly line: number;
  readonly end: number;
}

/** The text form: one operator per line, with where everything stands. Columns, so that it travels between processes. */
export interface TextForm {
  readonly text: string;
  /** Layers in the order of the text, bodies included, and the line of each. */
  readonly layers: readonly NodeId[];
  readonly layerLines: Uint32Array;
  readonly names: NamePlaces;
  /** Outer before inner. */
  readonly graphs: readonly PrintedGraph[];
}
