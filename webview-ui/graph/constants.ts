import type { GraphView } from '../../src/engine/view.ts';
import { buildCsr } from './csr.ts';

/**
 * Layers that no input of the graph reaches compute the same on every run: constants and what is derived from them.
 * Answers the layer each of them first feeds, or -1 for ordinary layers; on the canvas they hide in that layer's card.
 * Linear.
 */
export function constantHosts(view: GraphView): Int32Array {
  const host = new Int32Array(view.nodeCount).fill(-1);
  const varies = variableLayers(view);
  if (varies === undefined) return host;
  const up = buildCsr(view.nodeCount, view.edgeTo, view.edgeFrom);
  const stack: number[] = [];
  for (let v = 0; v < view.nodeCount; v++) {
    if (varies[v] === 0) continue;
    stack.push(v);
    while (stack.length > 0) {
      const at = stack.pop()!;
      for (let k = up.start[at]!; k < up.start[at + 1]!; k++) {
        const source = up.target[k]!;
        if (varies[source] === 1 || host[source]! >= 0 || view.kind[source] !== 0) continue;
        host[source] = v;
        stack.push(source);
      }
    }
  }
  return host;
}

/** 1 for whatever an input of the graph reaches; `undefined` for a graph without inputs, where nothing would be left. */
function variableLayers(view: GraphView): Uint8Array | undefined {
  const down = buildCsr(view.nodeCount, view.edgeFrom, view.edgeTo);
  const reached = new Uint8Array(view.nodeCount);
  const stack: number[] = [];
  for (let v = 0; v < view.nodeCount; v++) {
    // A body may run without reading anything: its layers are no constants for that.
    const inBody = view.nested[v] === 1 && view.strings[view.family[v]!] !== 'constant';
    if (view.kind[v] !== 1 && !inBody) continue;
    reached[v] = 1;
    stack.push(v);
  }
  if (stack.length === 0) return undefined;
  while (stack.length > 0) {
    const v = stack.pop()!;
    for (let k = down.start[v]!; k < down.start[v + 1]!; k++) {
      const w = down.target[k]!;
      if (reached[w] === 1) continue;
      reached[w] = 1;
      stack.push(w);
    }
  }
  return reached;
}
