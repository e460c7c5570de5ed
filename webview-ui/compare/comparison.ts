import type { Against, OtherModel } from '../../src/editor/page/protocol.ts';
import type { DiffReport } from '../../src/engine/answers.ts';
import type { LoadedGraph } from '../loadedGraph.ts';
import { loadedGraph } from '../loadedGraph.ts';

/** How a layer differs from its counterpart; `undefined` elsewhere means that it does not. */
export type Change = 'added' | 'changed' | 'removed';

type ChangeClass = DiffReport['changed'][number]['classes'][number];

/** Two models side by side: `other` is before, the model of the editor is after. */
export interface Comparison {
  readonly against: Against;
  /** The state of the document that it was made for. */
  readonly model: string;
  readonly title: string;
  readonly other: LoadedGraph;
  readonly before: OtherModel['before'];
  readonly after: OtherModel['after'];
  readonly diff: DiffReport;
  /** The counterpart of a layer of the other model, and of one of this model. */
  toThis(id: string): string | undefined;
  toOther(id: string): string | undefined;
  readonly otherChanges: ReadonlyMap<string, Change>;
  readonly changes: ReadonlyMap<string, Change>;
  /** Classes of change by id in this model. */
  readonly classes: ReadonlyMap<string, readonly ChangeClass[]>;
}

/** Works the pairs out of a report that names only what differs. */
export function comparisonOf(against: Against, model: string, answer: OtherModel): Comparison {
  const { diff, title, before, after, graph } = answer;
  const forward = new Map(diff.renamed);
  const backward = new Map(diff.renamed.map(([a, b]) => [b, a]));
  const removed = new Set(diff.removed);
  const added = new Set(diff.added);
  const toThis = (id: string) => forward.get(id) ?? (removed.has(id) ? undefined : id);
  const toOther = (id: string) => backward.get(id) ?? (added.has(id) ? undefined : id);
  const otherChanges = new Map<string, Change>(diff.removed.map((id) => [id, 'removed']));
  const changes = new Map<string, Change>(diff.added.map((id) => [id, 'added']));
  const classes = new Map<string, readonly ChangeClass[]>();
  for (const { id, classes: found } of diff.changed) {
    otherChanges.set(id, 'changed');
    const here = toThis(id);
    if (here === undefined) continue;
    changes.set(here, 'changed');
    classes.set(here, found);
  }
  return {
    against,
    model,
    title,
    other: loadedGraph(graph),
    before,
    after,
    diff,
    toThis,
    toOther,
    otherChanges,
    changes,
    classes,
  };
}

/** One line of the comparison's table: a layer of either model. */
export interface Difference {
  /** Id in this model, or in the other one when the layer is gone. */
  readonly id: string;
  readonly change: Change;
  readonly classes: readonly ChangeClass[];
  /** Index in the other graph and in this one; -1 where it is not. */
  readonly before: number;
  readonly after: number;
}

/** Every layer that differs, in the order of this model, then what was removed. */
export function differencesOf(comparison: Comparison, graph: LoadedGraph): readonly Difference[] {
  const { changes, classes, other, diff, toOther } = comparison;
  const here = [...changes].map(([id, change]) => {
    const counterpart = toOther(id);
    return {
      id,
      change,
      classes: classes.get(id) ?? [],
      before: counterpart === undefined ? -1 : (other.indexOf.get(counterpart) ?? -1),
      after: graph.indexOf.get(id) ?? -1,
    };
  });
  here.sort((a, b) => a.after - b.after);
  const gone = diff.removed.map((id) => ({
    id,
    change: 'removed' as const,
    classes: [],
    before: other.indexOf.get(id) ?? -1,
    after: -1,
  }));
  return [...here, ...gone];
}
