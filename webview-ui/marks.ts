import type { PageResult } from '../src/editor/page/protocol.ts';
import type { GraphView } from '../src/engine/view.ts';

const severityRank = { hint: 1, information: 2, warning: 3, error: 4 } as const;

/**
 * Writes how many findings each layer has, and the worst, into the columns of a graph, which comes without them: the
 * picture does not wait for the rules. Findings of a former graph mark the layers that are still there.
 */
export function markFindings(view: GraphView, { findings }: PageResult<'check'>): void {
  const marks = new Map<string, { count: number; worst: number }>();
  for (const { layer, layers, severity } of findings) {
    for (const id of layers ?? (layer === undefined ? [] : [layer])) {
      const mark = marks.get(id) ?? { count: 0, worst: 0 };
      mark.count++;
      mark.worst = Math.max(mark.worst, severityRank[severity]);
      marks.set(id, mark);
    }
  }
  for (let v = 0; v < view.nodeCount; v++) {
    const mark = view.kind[v] === 0 ? marks.get(view.strings[view.layer[v]!]!) : undefined;
    view.findings[v] = mark?.count ?? 0;
    view.severity[v] = mark?.worst ?? 0;
  }
}
