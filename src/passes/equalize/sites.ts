import type { Model, Node, ValueId } from '../../ir/model.ts';
import type { Facts } from '../support/facts.ts';

/** The channels of a value: `count` consecutive slots, one per index of `axis`. */
export interface Site {
  readonly value: ValueId;
  readonly axis: number;
  readonly first: number;
  readonly count: number;
}

/**
 * Channels that have to be scaled alike, as a forest over slots (union-find). A tree is frozen when one of its channels
 * is seen by something that cannot absorb a factor.
 */
export interface Sites {
  readonly all: ReadonlyMap<ValueId, Site>;
  /** The slot that stands for a slot's tree. */
  rootOf(slot: number): number;
  isFrozen(slot: number): boolean;
  /** Upper bound that a Clip puts on the tree; `undefined` without one. */
  capOf(slot: number): number | undefined;
  /** The results of those that put it there. */
  readonly capped: ReadonlySet<ValueId>;
  readonly slots: number;
}

export interface SiteBuilder extends Sites {
  readonly model: Model;
  readonly facts: Facts;
  /** The site of a value that an operator reads along `axis`; frozen when nothing upstream can absorb a factor. */
  read(value: ValueId | null | undefined, axis: number): Site | undefined;
  /** A site for a value that the operator at hand makes. */
  make(value: ValueId | null | undefined, axis: number): Site | undefined;
  tie(a: number, b: number): void;
  tieAll(a: Site, b: Site): void;
  freeze(site: Site | undefined): void;
  cap(site: Site, bound: number): void;
  freezeNode(node: Node): void;
}

export function siteBuilder(model: Model, facts: Facts): SiteBuilder {
  const all = new Map<ValueId, Site>();
  const parent: number[] = [];
  const frozen: boolean[] = [];
  const caps = new Map<number, number>();
  const capped = new Set<ValueId>();
  /** Values whose channels run along no single axis. */
  const mixed = new Set<ValueId>();

  const rootOf = (slot: number): number => {
    let root = slot;
    while (parent[root] !== root) root = parent[root] as number;
    let at = slot;
    while (parent[at] !== root) {
      const next = parent[at] as number;
      parent[at] = root;
      at = next;
    }
    return root;
  };
  const add = (value: ValueId | null | undefined, axis: number, isFrozen: boolean): Site | undefined => {
    const shape = facts.typeOf(value)?.shape;
    const count = shape?.[axis < 0 ? axis + shape.length : axis];
    if (value == null || shape === undefined || typeof count !== 'number' || count < 1) return undefined;
    const site = { value, axis: axis < 0 ? axis + shape.length : axis, first: parent.length, count };
    for (let i = 0; i < count; i += 1) {
      parent.push(site.first + i);
      frozen.push(isFrozen || mixed.has(value) || facts.dtypeOf(value) !== 'float32');
    }
    all.set(value, site);
    return site;
  };
  const builder: SiteBuilder = {
    model,
    facts,
    all,
    rootOf,
    get slots() {
      return parent.length;
    },
    isFrozen: (slot) => frozen[rootOf(slot)] === true,
    capOf: (slot) => caps.get(rootOf(slot)),
    capped,
    read(value, axis) {
      const known = value == null ? undefined : all.get(value);
      if (known === undefined) return add(value, axis, true);
      const rank = facts.typeOf(value)?.shape?.length ?? 0;
      if (known.axis === (axis < 0 ? axis + rank : axis)) return known;
      builder.freeze(known);
      return undefined;
    },
    make: (value, axis) => add(value, axis, false),
    tie(a, b) {
      const [from, to] = [rootOf(a), rootOf(b)];
      if (from === to) return;
      parent[from] = to;
      frozen[to] = frozen[from] === true || frozen[to] === true;
      const bound = Math.min(caps.get(from) ?? Infinity, caps.get(to) ?? Infinity);
      if (bound < Infinity) caps.set(to, bound);
    },
    tieAll(a, b) {
      for (let i = 0; i < Math.min(a.count, b.count); i += 1) builder.tie(a.first + i, b.first + i);
      if (a.count === b.count) return;
      builder.freeze(a);
      builder.freeze(b);
    },
    freeze(site) {
      for (let i = 0; i < (site?.count ?? 0); i += 1) frozen[rootOf((site as Site).first + i)] = true;
    },
    cap(site, bound) {
      capped.add(site.value);
      for (let i = 0; i < site.count; i += 1) {
        const root = rootOf(site.first + i);
        caps.set(root, Math.min(caps.get(root) ?? Infinity, bound));
      }
    },
    freezeNode(node) {
      for (const id of [...node.inputs, ...node.outputs]) {
        if (id === null) continue;
        if (all.has(id)) builder.freeze(all.get(id));
        else mixed.add(id);
      }
    },
  };
  return builder;
}
