import type { Model, NodeId } from '../../ir/model.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { Calibrator, InputMoments, PassContext } from '../pass.ts';
import type { Channels } from './channels.ts';
import type { Curve, Term } from './eliminate.ts';
import { eliminate, ranked } from './eliminate.ts';
import type { Group } from './groups.ts';
import { nameOf, outputAxesOf } from './groups.ts';
import type { Reader } from './readers.ts';
import { keptWithout, withoutChannels } from './cut.ts';
import { patched } from './repair.ts';
import type { Distance } from './sensitivity.ts';
import { readersOf, squaresAlong, termsOf } from './readers.ts';

/** Ways to say which channels matter least. */
export const importances = ['reconstruction', 'activation', 'magnitude'] as const;
export type Importance = (typeof importances)[number];

/** Moments held at once; more mean another run over the data. */
const bytesAtOnce = 512 * 2 ** 20;

/**
 * For every group the order in which its channels go and what that costs. `reconstruction` refits the readers after each
 * channel; `activation` takes squared weights times squared inputs (as Wanda, arXiv 2306.11695), `magnitude` the squared
 * weights that make a channel.
 */
export async function curvesOf(
  model: Model,
  channels: Channels,
  groups: readonly Group[],
  importance: Importance,
  calibrator: Calibrator,
  context: Pick<PassContext, 'step'>,
  trials?: Trials,
): Promise<readonly Curve[]> {
  if (importance === 'magnitude')
    return groups.map((group) => ranked(magnitudesOf(model, channels, group), 1));
  const readers = readersOf(model, channels);
  const curves: Curve[] = [];
  for (const batch of batchesOf(groups, readers)) {
    const wanted = [...new Set(batch.flatMap((group) => readersOfGroup(group, readers)))];
    const moments = await calibrator.moments(
      model,
      wanted.map((reader) => reader.layer.node.id),
    );
    for (const group of batch) {
      await context.step(curves.length / groups.length, `weighing the channels of ${nameOf(model, group)}`);
      const seen = readersOfGroup(group, readers).filter(({ layer }) => isSound(moments.get(layer.node.id)));
      const price = pricesOf(model, channels, group, new Set(seen.map(({ layer }) => layer.node.id)));
      const terms = seen.flatMap((reader) =>
        termsOf(reader, group, moments.get(reader.layer.node.id) as InputMoments),
      );
      if (terms.length === 0 && price.every((each) => each === 0))
        curves.push(ranked(magnitudesOf(model, channels, group), 1));
      else if (importance === 'reconstruction') curves.push(eliminate(terms, price, 1));
      else curves.push(ranked(energiesOf(seen, group, moments, price), 1));
      const found = curves.pop() as Curve;
      curves.push(
        trials === undefined
          ? found
          : await tried({ model, channels, group, readers: seen, moments }, found, trials),
      );
    }
  }
  return curves;
}

/** What may be measured at the model's outputs to know better than the readers' errors say. */
export interface Trials {
  readonly distance: Distance;
  /** Whether groups are weighed against each other. */
  readonly compares: boolean;
}

/** Share of a group's channels that is cut to see what its error means at the outputs. */
const trialShare = 0.25;
/** Most channels that are tried one by one: heads are few, and each is many numbers at once. */
const mostHeads = 16;

interface Cutting {
  readonly model: Model;
  readonly channels: Channels;
  readonly group: Group;
  readonly readers: readonly Reader[];
  readonly moments: ReadonlyMap<NodeId, InputMoments>;
}

/** The curve in units of the model's output error, by cutting; heads in the order of what each alone does. */
async function tried(cutting: Cutting, curve: Curve, { distance, compares }: Trials): Promise<Curve> {
  const { classes, width } = cutting.group;
  if (width > 1 && classes.length <= mostHeads) return byHeads(cutting, curve, distance);
  if (!compares) return curve;
  const count = Math.max(1, Math.min(curve.order.length, Math.round(trialShare * classes.length)));
  const measured = await distance(trialOf(cutting, curve.order.subarray(0, count)));
  const expected = curve.errors[count] as number;
  if (measured === undefined || !(expected > 0)) return curve;
  return { order: curve.order, errors: curve.errors.map((error) => (error * measured) / expected) };
}

async function byHeads(cutting: Cutting, curve: Curve, distance: Distance): Promise<Curve> {
  const scores = new Float64Array(cutting.group.classes.length);
  for (const head of scores.keys()) {
    const measured = await distance(trialOf(cutting, Int32Array.of(head)));
    if (measured === undefined) return curve;
    scores[head] = measured;
  }
  const order = Int32Array.from(scores.keys()).sort((a, b) => (scores[a] as number) - (scores[b] as number));
  const errors = new Float64Array(curve.errors.length);
  for (let m = 1; m < errors.length; m += 1)
    errors[m] = (errors[m - 1] as number) + (scores[order[m - 1] as number] as number);
  return { order: order.slice(0, errors.length - 1), errors };
}

/** The model without some channels of a group, its readers refitted. */
function trialOf({ model, channels, group, readers, moments }: Cutting, removed: Int32Array): Model {
  const gone = new Set([...removed].map((i) => group.classes[i] as number));
  const kept = keptWithout(channels, gone);
  const columns = new Map(
    readers.map(({ layer, columnClasses }) => [
      layer.node.id,
      [...columnClasses.keys()].filter((i) => !gone.has(columnClasses[i] as number)),
    ]),
  );
  const seen = new Map(readers.map(({ layer: { node } }) => [node.id, moments.get(node.id) as InputMoments]));
  return patched(model, withoutChannels(model, kept), kept, columns, seen);
}

function isSound(moments: InputMoments | undefined): moments is InputMoments {
  return moments !== undefined && moments.count > 1 && moments.gram.every(Number.isFinite);
}

function readersOfGroup(group: Group, readers: readonly Reader[]): readonly Reader[] {
  const classes = new Set(group.classes);
  return readers.filter(({ columnClasses }) => columnClasses.some((of) => classes.has(of)));
}

function batchesOf(groups: readonly Group[], readers: readonly Reader[]): readonly (readonly Group[])[] {
  const batches: Group[][] = [];
  let room = 0;
  for (const group of groups) {
    let bytes = 0;
    for (const { layer } of readersOfGroup(group, readers)) bytes += 8 * layer.groups * layer.inputs ** 2;
    if (bytes > room || batches.length === 0) {
      batches.push([]);
      room = bytesAtOnce;
    }
    batches.at(-1)?.push(group);
    room -= bytes;
  }
  return batches;
}

/** Adds, for each axis of a weight that channels of the group lie on, their share of its squares. */
function addShares(
  into: Float64Array,
  model: Model,
  channels: Channels,
  group: Group,
  axis: { readonly id: string; readonly axis: number },
): void {
  const place = new Map(group.classes.map((of, i) => [of, i]));
  const classes = channels.classesOf(axis);
  if (classes === undefined || !classes.some((of) => place.has(of))) return;
  const squares = squaresAlong(model, axis.id, axis.axis);
  const all = squares.reduce((sum, value) => sum + value, 0) || 1;
  squares.forEach((value, i) => {
    const at = place.get(classes[i] as number);
    if (at !== undefined) into[at] = (into[at] as number) + value / all;
  });
}

function magnitudesOf(model: Model, channels: Channels, group: Group): Float64Array {
  const scores = new Float64Array(group.classes.length);
  const made = new Set(group.producers);
  for (const node of model.graphs[0].nodes)
    if (made.has(node.id))
      for (const axis of outputAxesOf(model, node)) addShares(scores, model, channels, group, axis);
  return scores;
}

/** What a channel means to weights that cannot be refitted: its share of their squares. */
function pricesOf(model: Model, channels: Channels, group: Group, seen: ReadonlySet<NodeId>): Float64Array {
  const prices = new Float64Array(group.classes.length);
  for (const node of model.graphs[0].nodes) {
    if (seen.has(node.id)) continue;
    for (const { kind, inputAxis, input } of operatorOf(model, node)?.weights?.(node, model) ?? []) {
      const id = node.inputs[input];
      if (id == null || inputAxis === undefined || kind === 'embedding') continue;
      addShares(prices, model, channels, group, { id, axis: inputAxis });
    }
  }
  return prices;
}

/** Sum over the readers of squared weights times mean squared inputs. */
function energiesOf(
  readers: readonly Reader[],
  group: Group,
  moments: ReadonlyMap<NodeId, InputMoments>,
  price: Float64Array,
): Float64Array {
  const scores = price.slice();
  for (const reader of readers) {
    const seen = moments.get(reader.layer.node.id) as InputMoments;
    termsOf(reader, group, seen).forEach((term, g) => {
      term.columns.forEach((columns, channel) => {
        for (const column of columns)
          scores[channel] = (scores[channel] as number) + energyOf(term, seen, g, column);
      });
    });
  }
  return scores;
}

function energyOf(term: Term, { gram, size }: InputMoments, g: number, column: number): number {
  const power = gram[g * size * size + column * (size + 1)] as number;
  let squares = 0;
  for (let o = 0; o < term.outputs; o += 1) squares += (term.weights[o * size + column] as number) ** 2;
  return squares * power * term.scale;
}
