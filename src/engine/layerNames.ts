import type { Model, NodeId } from '../ir/model.ts';
import { graphsOf } from '../ir/walk.ts';

/**
 * Maps names that runtimes report to layers. ONNX Runtime names a node (fused ones by their first), or the first output
 * when a node has no name; TFLite runtimes name the output tensor.
 */
export function layerNamer(model: Model): (name: string) => NodeId | undefined {
  const ids = new Map<string, NodeId>();
  for (const graph of graphsOf(model)) {
    for (const node of graph.nodes) {
      const [output] = node.outputs;
      const stored = output == null ? undefined : graph.values.get(output)?.name;
      for (const name of [stored, output, node.name, node.id])
        if (name != null && name !== '') ids.set(name, node.id);
    }
  }
  return (name) => ids.get(name);
}
