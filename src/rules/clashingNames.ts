import type { NodeId } from '../ir/model.ts';
import { graphsOf } from '../ir/walk.ts';
import type { Rule } from './rule.ts';
import { onLayers } from './support.ts';

export const clashingNames: Rule = {
  id: 'clashing-names',
  severity: 'warning',
  title: 'Layers share a name',
  manual: `Two layers of one graph have the same name. Runtimes load such a model, but profiles, exclusion lists and recipes that go by
name cannot tell the layers apart.

**Example.** Two towers of a network, merged with the names of the same export.

**Remedy.** Give every layer a name of its own.`,
  check({ model }) {
    if (model.dialect !== 'onnx') return [];
    const clashing: NodeId[] = [];
    for (const graph of graphsOf(model)) {
      const seen = new Set<string>();
      for (const { id, name } of graph.nodes) {
        if (name !== '' && seen.has(name)) clashing.push(id);
        seen.add(name);
      }
    }
    return onLayers(
      clashingNames,
      clashing,
      (where) => `Another layer of the graph has this name too${where}.`,
    );
  },
};
