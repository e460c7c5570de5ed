import type { ScheduleProblem } from './scheduleProblem.ts';

/** Nodes between two separators, numbered from 0, and the groups they read and make, numbered likewise. */
export interface Part extends Omit<ScheduleProblem, 'initial'> {
  /** Places in the whole order. */
  readonly nodes: readonly number[];
  /** Bytes of groups that are live when the part begins. */
  readonly entering: number;
}

interface SearchResult {
  readonly order: readonly number[];
  readonly peak: number;
  /** Steps that were tried. */
  readonly spent: number;
}

/** A beginning of an order. */
interface State {
  readonly left: Int32Array;
  readonly waiting: Int32Array;
  readonly ready: readonly number[];
  readonly live: number;
  readonly peak: number;
  readonly done: number;
  readonly trace: Trace | undefined;
}

interface Trace {
  readonly node: number;
  readonly before: Trace | undefined;
}

/** Beginnings that are kept at each length when there are too many to try them all. */
const beamWidth = 48;
/** Largest part that is searched at all; a larger one keeps its order. */
const mostNodes = 4_000;

/** The peak of live bytes when the part's nodes run in this order. */
export function peakOf(part: Part, order: readonly number[]): number {
  let state = start(part);
  for (const node of order) state = advance(part, state, node);
  return state.peak;
}

/**
 * The order with the lowest peak, exactly where a best-first search over sets of executed nodes ends within the budget
 * (in the manner of Ahn et al., "Ordering Chaos", arXiv 2003.02369), else the best of a beam search. Ends as soon as a
 * peak of `goodEnough` is reached.
 */
export function searchPart(part: Part, goodEnough: number, budget: number): SearchResult {
  const identity = part.nodes.map((_, index) => index);
  const given = { order: identity, peak: peakOf(part, identity), spent: identity.length };
  const branches = part.successors.some((list) => list.length > 1) || start(part).ready.length > 1;
  if (!branches || part.nodes.length > mostNodes || given.peak <= goodEnough) return given;
  const exact = part.nodes.length <= 400 ? bestFirst(part, given.peak, budget) : undefined;
  if (exact?.complete === true) return exact.result ?? { ...given, spent: exact.spent };
  const beam = beamSearch(part);
  const spent = given.spent + (exact?.spent ?? 0) + beam.spent;
  return beam.peak < given.peak ? { ...beam, spent } : { ...given, spent };
}

function start(part: Part): State {
  const waiting = new Int32Array(part.nodes.length);
  for (const list of part.successors) for (const next of list) waiting[next] = (waiting[next] as number) + 1;
  const ready = part.nodes.flatMap((_, node) => (waiting[node] === 0 ? [node] : []));
  return {
    left: Int32Array.from(part.readers),
    waiting,
    ready,
    live: part.entering,
    peak: part.entering,
    done: 0,
    trace: undefined,
  };
}

/** What running a node next does to memory: bytes live while it runs, and after it. */
function effect(part: Part, state: State, node: number): { during: number; after: number } {
  const makes = part.makes[node] ?? [];
  let made = 0;
  let unread = 0;
  for (const group of makes) {
    made += part.bytes[group] as number;
    if (part.readers[group] === 0 && !part.held[group]) unread += part.bytes[group] as number;
  }
  let freed = 0;
  let reused = 0;
  const target = part.inPlace[node] && makes.length > 0 ? part.bytes[makes[0] as number] : undefined;
  for (const group of part.reads[node] ?? []) {
    if (state.left[group] !== 1 || part.held[group]) continue;
    freed += part.bytes[group] as number;
    if (part.bytes[group] === target) reused = target as number;
  }
  return { during: state.live + made - reused, after: state.live + made - freed - unread };
}

function advance(part: Part, state: State, node: number): State {
  const { during, after } = effect(part, state, node);
  const left = state.left.slice();
  const waiting = state.waiting.slice();
  for (const group of part.reads[node] ?? []) left[group] = (left[group] as number) - 1;
  const ready = state.ready.filter((each) => each !== node);
  for (const next of part.successors[node] ?? []) {
    waiting[next] = (waiting[next] as number) - 1;
    if (waiting[next] === 0) ready.push(next);
  }
  waiting[node] = -1;
  return {
    left,
    waiting,
    ready: ready.sort((a, b) => a - b),
    live: after,
    peak: Math.max(state.peak, during),
    done: state.done + 1,
    trace: { node, before: state.trace },
  };
}

/**
 * A ready node that frees at least as much as it takes and does not raise the peak may run at once: whatever the best
 * order is, moving the node to the front of it makes nothing worse.
 */
function advanceFreely(part: Part, from: State): State {
  let state = from;
  for (;;) {
    const free = state.ready.find((node) => {
      const { during, after } = effect(part, state, node);
      return during <= state.peak && after <= state.live;
    });
    if (free === undefined) return state;
    state = advance(part, state, free);
  }
}

/** Which nodes have run. */
function keyOf(state: State): string {
  let key = '';
  for (let at = 0; at < state.waiting.length; at += 16) {
    let bits = 0;
    for (let bit = 0; bit < 16; bit += 1) if (state.waiting[at + bit] === -1) bits |= 1 << bit;
    key += String.fromCharCode(bits);
  }
  return key;
}

function orderOf(state: State): readonly number[] {
  const order: number[] = [];
  for (let trace = state.trace; trace !== undefined; trace = trace.before) order.push(trace.node);
  return order.reverse();
}

interface Exact {
  /** Whether every order that could be better was looked at. */
  readonly complete: boolean;
  readonly result: SearchResult | undefined;
  readonly spent: number;
}

/** Sets of executed nodes in the order of their peaks: the first whole one is the best. */
function bestFirst(part: Part, upper: number, budget: number): Exact {
  const queue = new Heap<State>((a, b) => a.peak - b.peak || b.done - a.done || a.live - b.live);
  const seen = new Set<string>();
  queue.push(advanceFreely(part, start(part)));
  let spent = 0;
  for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
    if (state.done === part.nodes.length) {
      return { complete: true, spent, result: { order: orderOf(state), peak: state.peak, spent } };
    }
    const key = keyOf(state);
    if (seen.has(key)) continue;
    seen.add(key);
    for (const node of state.ready) {
      spent += 1;
      if (effect(part, state, node).during >= upper) continue;
      queue.push(advanceFreely(part, advance(part, state, node)));
    }
    if (spent * part.nodes.length > budget) return { complete: false, result: undefined, spent };
  }
  return { complete: true, result: undefined, spent };
}

/** The most promising beginnings of each length go on: those with the lowest peak, then the fewest live bytes. */
function beamSearch(part: Part): SearchResult {
  const width = Math.max(2, Math.min(beamWidth, Math.floor(40_000 / part.nodes.length)));
  let beam: readonly State[] = [start(part)];
  let spent = 0;
  for (let length = 0; length < part.nodes.length; length += 1) {
    const drafts = beam.flatMap((state) =>
      state.ready.map((node) => ({ state, node, ...effect(part, state, node) })),
    );
    spent += drafts.length;
    drafts.sort(
      (a, b) => Math.max(a.state.peak, a.during) - Math.max(b.state.peak, b.during) || a.after - b.after,
    );
    const next: State[] = [];
    const seen = new Set<string>();
    for (const { state, node } of drafts) {
      const made = advance(part, state, node);
      const key = keyOf(made);
      if (seen.has(key)) continue;
      seen.add(key);
      next.push(made);
      if (next.length === width) break;
    }
    beam = next;
  }
  const best = beam.reduce((a, b) => (b.peak < a.peak ? b : a));
  return { order: orderOf(best), peak: best.peak, spent };
}

/** A binary heap. */
class Heap<T> {
  readonly #items: T[] = [];
  readonly #compare: (a: T, b: T) => number;

  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  push(item: T): void {
    const items = this.#items;
    let at = items.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#compare(items[parent] as T, item) <= 0) break;
      items[at] = items[parent] as T;
      at = parent;
    }
    items[at] = item;
  }

  pop(): T | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && this.#compare(items[child + 1] as T, items[child] as T) < 0) child += 1;
      if (this.#compare(last, items[child] as T) <= 0) break;
      items[at] = items[child] as T;
      at = child;
    }
    items[at] = last;
    return top;
  }
}
