import type { GraphView } from '../src/engine/view.ts';
import type { Loaded } from './resource.ts';

/** Layer ids to node indexes, worked out once per graph. */
export interface LoadedGraph {
  readonly view: GraphView;
  readonly indexOf: ReadonlyMap<string, number>;
}

export function loadedGraph(view: GraphView): LoadedGraph {
  const indexOf = new Map<string, number>();
  for (let v = 0; v < view.nodeCount; v++) indexOf.set(view.strings[view.id[v]!]!, v);
  return { view, indexOf };
}

/** One thing selected everywhere: a layer by id, or a folded group by key. */
export type Selection =
  | { readonly kind: 'layer'; readonly id: string }
  | { readonly kind: 'group'; readonly key: string }
  | undefined;

/** A layer's id in the model; in the view it may have several, one for each run of its body. */
export function layerOf({ value }: Loaded<LoadedGraph>, id: string): string {
  const index = value?.indexOf.get(id);
  return index === undefined ? id : value!.view.strings[value!.view.layer[index]!]!;
}
