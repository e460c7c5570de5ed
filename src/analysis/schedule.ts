import type { Node, ValueId, Model } from '../ir/model.ts';
import type { ValueType } from '../ir/types.ts';
import { readsOf } from './order.ts';
import type { ScheduleProblem } from './scheduleProblem.ts';
import { derivedConstants, scheduleProblem } from './scheduleProblem.ts';
import type { Part } from './scheduleSearch.ts';
import { peakOf, searchPart } from './scheduleSearch.ts';

/**
 * An order of execution with a lower peak of live activations than `nodes` have, or `undefined` when none was found or
 * sizes are unknown. A graph falls apart at nodes that everything else comes before or after: between two of those the
 * parts are ordered on their own, the one with the highest peak first, until what is left does not matter.
 */
export function betterOrder(
  model: Model,
  all: readonly Node[],
  types: ReadonlyMap<ValueId, ValueType>,
): readonly Node[] | undefined {
  const constants = derivedConstants(model.graphs[0], all);
  const isConstant = (node: Node) => node.outputs.some((id) => id !== null && constants.has(id));
  const nodes = all.filter((node) => !isConstant(node));
  const problem = scheduleProblem(model, nodes, types);
  if (problem === undefined || nodes.length < 2) return undefined;
  const parts = partsOf(problem);
  const base = baseBytes(problem, parts);
  const peaks = parts.map((part, index) => peakOf(part, identity(part)) + (base[index] as number));
  const byPeak = parts.map((_, index) => index).sort((a, b) => (peaks[b] as number) - (peaks[a] as number));
  const found = new Map<number, readonly number[]>();
  let settled = 0;
  let budget = searchBudget;
  for (const index of byPeak) {
    const part = parts[index] as Part;
    const own = base[index] as number;
    if ((peaks[index] as number) <= settled) break;
    const result = searchPart(part, Math.max(0, settled - own), budget);
    budget = Math.max(smallestBudget, budget - result.spent);
    if (result.peak + own < (peaks[index] as number)) found.set(index, result.order);
    settled = Math.max(settled, Math.min(peaks[index] as number, result.peak + own));
  }
  if (found.size === 0) return undefined;
  const ordered = parts.flatMap((part, index) =>
    (found.get(index) ?? identity(part)).map((at) => nodes[part.nodes[at] as number] as Node),
  );
  return withConstants(ordered, all.filter(isConstant));
}

/** Nodes that follow from constants alone go right before their first reader. */
function withConstants(ordered: readonly Node[], constants: readonly Node[]): readonly Node[] {
  const maker = new Map<ValueId, Node>();
  for (const node of constants) for (const id of node.outputs) if (id !== null) maker.set(id, node);
  const placed = new Set<Node>();
  const result: Node[] = [];
  const place = (node: Node) => {
    const open = [node];
    for (let next = open.at(-1); next !== undefined; next = open.at(-1)) {
      const missing = readsOf(next).flatMap((id) => {
        const source = maker.get(id);
        return source === undefined || placed.has(source) ? [] : [source];
      });
      if (missing.length > 0) {
        open.push(...missing);
        continue;
      }
      open.pop();
      if (placed.has(next)) continue;
      placed.add(next);
      result.push(next);
    }
  };
  for (const node of ordered) place(node);
  for (const node of constants) place(node);
  return result;
}

/** Steps tried in all parts together, and at least in each. */
const searchBudget = 400_000;
const smallestBudget = 4_000;

const identity = (part: Part): readonly number[] => part.nodes.map((_, index) => index);

/**
 * Positions that every other node is an ancestor or a descendant of: all later nodes read something made there or after,
 * and everything before is read there or before. Linear in the edges.
 */
function separators({ successors }: ScheduleProblem): readonly boolean[] {
  const count = successors.length;
  const lastSource = new Int32Array(count).fill(-1);
  successors.forEach((list, node) => {
    for (const next of list) lastSource[next] = Math.max(lastSource[next] as number, node);
  });
  const change = new Int32Array(count + 1);
  const exclude = (from: number, to: number) => {
    if (from >= to) return;
    change[from] = (change[from] as number) + 1;
    change[to] = (change[to] as number) - 1;
  };
  for (let node = 0; node < count; node += 1) {
    exclude((lastSource[node] as number) + 1, node);
    exclude(node + 1, successors[node]?.[0] ?? count);
  }
  let covered = 0;
  return Array.from({ length: count }, (_, node) => (covered += change[node] as number) === 0);
}

/** Runs of nodes up to and including the next separator. */
function partsOf(problem: ScheduleProblem): readonly Part[] {
  const cut = separators(problem);
  const parts: Part[] = [];
  const lastReader = lastReaders(problem);
  let start = 0;
  for (let end = 0; end < cut.length; end += 1) {
    if (!cut[end] && end < cut.length - 1) continue;
    parts.push(partOf(problem, start, end + 1, lastReader));
    start = end + 1;
  }
  return parts;
}

function lastReaders({ reads, bytes }: ScheduleProblem): Int32Array {
  const last = new Int32Array(bytes.length).fill(-1);
  reads.forEach((groups, node) => {
    for (const group of groups) last[group] = node;
  });
  return last;
}

function partOf(problem: ScheduleProblem, start: number, end: number, lastReader: Int32Array): Part {
  const local = new Map<number, number>();
  const bytes: number[] = [];
  const held: boolean[] = [];
  const number = (group: number): number => {
    let own = local.get(group);
    if (own === undefined) {
      own = bytes.length;
      local.set(group, own);
      bytes.push(problem.bytes[group] as number);
      held.push((problem.held[group] ?? false) || (lastReader[group] as number) >= end);
    }
    return own;
  };
  const nodes = Array.from({ length: end - start }, (_, index) => start + index);
  const reads = nodes.map((node) => (problem.reads[node] ?? []).map(number));
  const entering = new Set(reads.flat());
  const makes = nodes.map((node) => (problem.makes[node] ?? []).map(number));
  for (const group of makes.flat()) entering.delete(group);
  const readers = bytes.map(() => 0);
  for (const group of reads.flat()) readers[group] = (readers[group] as number) + 1;
  return {
    nodes,
    reads,
    makes,
    bytes,
    held,
    readers,
    entering: [...entering].reduce((sum, group) => sum + (bytes[group] as number), 0),
    inPlace: nodes.map((node) => problem.inPlace[node] ?? false),
    successors: nodes.map((node) =>
      (problem.successors[node] ?? []).filter((next) => next < end).map((next) => next - start),
    ),
  };
}

/** Live bytes beside each part that it does not touch. */
function baseBytes(problem: ScheduleProblem, parts: readonly Part[]): readonly number[] {
  const left = problem.readers.slice();
  let live = problem.initial.reduce((sum, group) => sum + (problem.bytes[group] as number), 0);
  return parts.map((part) => {
    const base = live - part.entering;
    for (const node of part.nodes) {
      for (const group of problem.makes[node] ?? []) {
        const lasts = (problem.readers[group] as number) > 0 || problem.held[group];
        if (lasts) live += problem.bytes[group] as number;
      }
      for (const group of problem.reads[node] ?? []) {
        left[group] = (left[group] as number) - 1;
        if (left[group] === 0 && !problem.held[group]) live -= problem.bytes[group] as number;
      }
    }
    return base;
  });
}
