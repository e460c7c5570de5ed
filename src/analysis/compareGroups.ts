import type { GroupDifference, ChangeClass, Comparison } from './comparison.ts';
import type { Model, NodeId } from '../ir/model.ts';
import { analyse } from './analyse.ts';
import type { LayerCost } from './report.ts';

/** More groups than this say no more than the layers do. */
const mostGroups = 40;
const deepestPath = 6;

/**
 * The comparison rolled up to groups, in the order of the first model. Names are paths ("/layer1/block.0/conv"); they are
 * cut where that gives the most groups up to forty. Matched layers count in the group of the first model's layer.
 */
export function groupDifferences(a: Model, b: Model, comparison: Comparison): readonly GroupDifference[] {
  const [left, right] = [analyse(a).layers, analyse(b).layers];
  const groupOf = grouping([...left, ...right]);
  const renamed = new Map(comparison.renamed.map(([from, to]) => [to, from]));
  const added = new Set(comparison.added);
  const removed = new Set(comparison.removed);
  const changes = new Map(comparison.changed.map((each) => [each.id, each.classes]));
  const ofFirst = new Map<NodeId, string>(left.map((layer) => [layer.id, groupOf(layer)]));
  const drafts = new Map<string, Draft>();
  for (const layer of left) {
    const draft = draftOf(drafts, groupOf(layer));
    addCosts(draft, 0, layer);
    const classes = changes.get(layer.id);
    if (removed.has(layer.id)) draft.removed += 1;
    else if (classes === undefined) draft.unchanged += 1;
    else {
      draft.changed += 1;
      for (const each of classes) draft.classes.add(each);
    }
  }
  for (const layer of right) {
    const matched = added.has(layer.id) ? undefined : ofFirst.get(renamed.get(layer.id) ?? layer.id);
    const draft = draftOf(drafts, matched ?? groupOf(layer));
    addCosts(draft, 1, layer);
    if (added.has(layer.id)) draft.added += 1;
  }
  return [...drafts].map(([name, { classes, ...rest }]) => ({ name, ...rest, classes: [...classes] }));
}

interface Draft {
  added: number;
  removed: number;
  changed: number;
  unchanged: number;
  readonly classes: Set<ChangeClass>;
  readonly params: [number, number];
  readonly weightBytes: [number, number];
  readonly macs: [number | null, number | null];
}

function draftOf(drafts: Map<string, Draft>, name: string): Draft {
  let draft = drafts.get(name);
  if (draft === undefined) {
    draft = {
      added: 0,
      removed: 0,
      changed: 0,
      unchanged: 0,
      classes: new Set(),
      params: [0, 0],
      weightBytes: [0, 0],
      macs: [0, 0],
    };
    drafts.set(name, draft);
  }
  return draft;
}

function addCosts(draft: Draft, side: 0 | 1, layer: LayerCost): void {
  draft.params[side] += layer.params;
  draft.weightBytes[side] += layer.weightBytes;
  const macs = draft.macs[side];
  draft.macs[side] = macs === null || layer.macs === undefined ? null : macs + layer.macs;
}

/** The deepest cut of the names that still gives few groups. */
function grouping(layers: readonly LayerCost[]): (layer: LayerCost) => string {
  const cut = (layer: LayerCost, depth: number) => {
    const path = pathOf(layer);
    return path.slice(0, Math.min(depth, path.length - 1)).join('/');
  };
  let depth = 0;
  for (let deeper = 1; deeper <= deepestPath; deeper += 1) {
    if (new Set(layers.map((layer) => cut(layer, deeper))).size > mostGroups) break;
    depth = deeper;
  }
  return (layer) => cut(layer, depth);
}

/** TFLite operators are named after their first output, whose name is a path too. */
function pathOf(layer: LayerCost): readonly string[] {
  const name = layer.name === '' ? layer.id : layer.name;
  return (name.split(';')[0] ?? name).split('/').filter((part) => part !== '');
}
