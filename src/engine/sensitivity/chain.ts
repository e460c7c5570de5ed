import type { Model, ValueId } from '../../ir/model.ts';
import type { Cut } from '../../optimize/sensitivity/cuts.ts';
import { crossingIn, unchangedValues } from '../../optimize/sensitivity/cuts.ts';
import type { ReplayStage, Tensors } from '../../runtime/runner.ts';
import type { Opening, Part } from './parts.ts';
import { openPart } from './parts.ts';
import type { Plan, Segment } from './plan.ts';

/** The inferences that measure one changed model. */
export interface ChangedRun {
  readonly stages: readonly ReplayStage[];
  /** Work for one sample: of the changed part alone, and with all behind it. */
  readonly cost: { readonly changed: number; readonly all: number };
  /** What the chain gives, by the names of the original's outputs. */
  named(tensors: Tensors): Tensors;
  close(): Promise<void>;
}

export interface Chain {
  open(changed: Model): Promise<ChangedRun>;
  close(): Promise<void>;
}

/** Runs changes inside one segment; what lies behind its end is loaded once for all of them. */
export function chainOf(base: Model, plan: Plan, segment: Segment, opening: Opening): Chain {
  const behind = new Map<number, Promise<Part | undefined>>();
  const partBehind = (cut: Cut) => {
    let part = behind.get(cut.index);
    if (part === undefined) {
      part = openPart(base, { inputs: cut.crossing, outputs: base.graphs[0].outputs }, opening);
      behind.set(cut.index, part);
    }
    return part;
  };
  return {
    async open(changed) {
      const found = placeOf(base, changed, plan, segment);
      const outputs = changed.graphs[0].outputs;
      const made = outputs.filter((_, at) => !found.behind.has(base.graphs[0].outputs[at] as ValueId));
      const front = await openPart(
        changed,
        { inputs: found.start.crossing, outputs: [...found.names.values(), ...made] },
        opening,
      );
      const rest = found.end.crossing.length === 0 ? undefined : await partBehind(found.end);
      return runOf({ base, changed, plan, found, front, rest });
    },
    async close() {
      for (const part of behind.values()) await (await part)?.close();
    },
  };
}

interface Place {
  readonly start: Cut;
  readonly end: Cut;
  /** What the nodes behind the end read of the changed model. */
  readonly names: ReadonlyMap<ValueId, ValueId>;
  /** Outputs that are made behind the end. */
  readonly behind: ReadonlySet<ValueId>;
}

/** The nearest cuts around a change: before the first the model is as it was, and behind the second. */
function placeOf(base: Model, changed: Model, plan: Plan, segment: Segment): Place {
  const same = unchangedValues(base, changed);
  const known = segment.start.crossing.every((id) => same.has(id));
  const start = known ? segment.start : (plan.cuts[0] as Cut);
  for (const end of plan.cuts) {
    if (end.index < segment.end.index || end.crossing.length === 0) continue;
    const names = crossingIn(base, changed, end);
    if (names !== undefined) return { start, end, names, behind: outputsBehind(base, end) };
  }
  return { start, end: plan.cuts.at(-1) as Cut, names: new Map(), behind: new Set() };
}

function outputsBehind(base: Model, cut: Cut): ReadonlySet<ValueId> {
  const [graph] = base.graphs;
  const made = new Set(graph.nodes.slice(cut.index).flatMap(({ outputs }) => outputs));
  return new Set(graph.outputs.filter((id) => made.has(id)));
}

function runOf({
  base,
  changed,
  plan,
  found,
  front,
  rest,
}: {
  base: Model;
  changed: Model;
  plan: Plan;
  found: Place;
  front: Part | undefined;
  rest: Part | undefined;
}): ChangedRun {
  const stages: ReplayStage[] = [];
  const crossing = new Set(found.names.values());
  if (front !== undefined) {
    const unless = Object.fromEntries(
      [...found.names].filter(([, now]) => front.outputs.includes(now)).map(([was, now]) => [now, was]),
    );
    const checkable = rest !== undefined && found.end.crossing.length > 0 && Object.keys(unless).length > 0;
    stages.push({
      session: front.session,
      feed: Object.fromEntries(front.feeds.map((id) => [id, id])),
      keep: Object.fromEntries(
        front.outputs.filter((id) => crossing.has(id)).map((id) => [id, `changed ${id}`]),
      ),
      passing: true,
      ...(checkable && { unless }),
    });
  }
  if (rest !== undefined) {
    const feed = rest.feeds.map((id): [string, string] => {
      const now = found.names.get(id) ?? id;
      return [id, front?.outputs.includes(now) === true ? `changed ${now}` : now];
    });
    stages.push({ session: rest.session, feed: Object.fromEntries(feed), keep: {} });
  }
  const own = plan.costOf(frontNodes(base, plan, found));
  const after = plan.costOf(rest?.nodes ?? []);
  const outputs = new Map(
    changed.graphs[0].outputs.map((id, at) => [id, base.graphs[0].outputs[at] as ValueId]),
  );
  return {
    stages,
    cost: { changed: own, all: own + after },
    named: (tensors) =>
      Object.fromEntries(Object.entries(tensors).map(([id, each]) => [outputs.get(id) ?? id, each])),
    close: async () => front?.close(),
  };
}

/** The work of a changed part is that of the original's nodes in its place. */
function frontNodes(base: Model, _plan: Plan, { start, end }: Place) {
  return base.graphs[0].nodes.slice(start.index, end.index);
}
