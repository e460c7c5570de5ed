import { floatAttribute } from '../../ir/attribute.ts';
import type { Graph, Model, Node, NodeId, ValueId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { Pass, PassContext, PassResult } from '../pass.ts';
import { matrixOf, multiplyLayerOf } from '../support/denseLayer.ts';
import { changedNodes, resultOf } from '../support/graph.ts';
import type { LayerChange } from '../support/refit.ts';
import { takesShift, withWeights } from '../support/refit.ts';
import type { Channels } from './channels.ts';
import { channelsOf } from './channels.ts';
import type { ConstantChannels } from './constantChannels.ts';
import { channelOf, constantChannels, livingWeights, readsAlong, staysInside } from './constantChannels.ts';
import { keptWithout, withoutChannels } from './cut.ts';
import type { Group } from './groups.ts';
import { groupsOf, madeBy, outputAxesOf } from './groups.ts';
import type { Reader } from './readers.ts';
import { readersOf } from './readers.ts';
import { unshared } from './unshare.ts';

/** Removes channels that always are the same number, or that nobody reads. */
export const removeDeadChannels: Pass = {
  id: 'remove-dead-channels',
  title: 'Remove dead channels',
  summary:
    'Removes channels whose weights are all zero, or that nothing reads; what a constant one adds goes into the biases behind it.',
  dialects: ['onnx', 'tflite'],
  exact: true,
  calibration: 'none',
  options: [],
  appliesTo: hasDeadRow,
  run: runRemoveDead,
};

/** Whether all weights of some output are zero: quick to say, though something else may keep the channel. */
function hasDeadRow(node: Node, model: Model): boolean {
  const layer = multiplyLayerOf(model, node);
  if (layer === undefined) return false;
  const matrix = matrixOf(layer);
  const lives = livingWeights(matrix);
  for (let o = 0; o < layer.outputs; o += 1) {
    let alive = false;
    for (let i = 0; i < layer.inputs && !alive; i += 1) alive = lives(o * layer.inputs + i);
    if (!alive) return true;
  }
  return false;
}

const known = new WeakMap<Model, ReadonlySet<NodeId>>();

/** Layers that make a channel that can go; reads every weight once. */
export function deadLayers(model: Model): ReadonlySet<NodeId> {
  let layers = known.get(model);
  if (layers === undefined) {
    const own = unshared(model);
    const channels = channelsOf(own);
    const dead = new Set(deadClasses(own, channels, groupsOf(own, channels).groups));
    const makes = (node: Node) =>
      outputAxesOf(own, node).some((axis) => channels.classesOf(axis)?.some((of) => dead.has(of)) === true);
    layers = new Set(own.graphs[0].nodes.filter(makes).map(({ id }) => id));
    known.set(model, layers);
  }
  return layers;
}

async function runRemoveDead(model: Model, _options: unknown, context: PassContext): Promise<PassResult> {
  await context.step(0, 'looking for dead channels');
  const own = unshared(model);
  const channels = channelsOf(own);
  const groups = madeBy(groupsOf(own, channels).groups, context.layers);
  const dead = new Set(deadClasses(own, channels, groups));
  if (dead.size === 0) return resultOf(model, model, [], ['no channel is dead and free to go']);
  const shifts = shiftsOf(own, channels, dead);
  const kept = keptWithout(channels, dead);
  const cut = withoutChannels(own, kept);
  const nodes = indexOf(cut.graphs[0]).node;
  const changes: LayerChange[] = [];
  for (const [id, shift] of shifts) {
    const layer = multiplyLayerOf(cut, nodes.get(id) as Node);
    const rows = layer && kept({ ...readsAlong(own, layer), id: layer.node.outputs[0] as string });
    if (layer === undefined) continue;
    const left = rows === undefined ? shift : Float64Array.from(rows, (o) => shift[o] as number);
    changes.push({ layer, matrix: matrixOf(layer), shift: left });
  }
  const after = withWeights(cut, changes);
  const notes = [`${dead.size} ${dead.size === 1 ? 'channel' : 'channels'} removed`];
  return resultOf(model, after, changedLayers(model.graphs[0], after.graphs[0]), notes);
}

/** Nodes that differ, and those that stayed the same value but read a constant with fewer channels. */
function changedLayers(before: Graph, after: Graph): readonly NodeId[] {
  const other = (id: ValueId | null) =>
    id !== null && before.values.get(id)?.constant !== after.values.get(id)?.constant;
  const readers = after.nodes.filter(({ inputs }) => inputs.some(other)).map(({ id }) => id);
  return [...new Set([...changedNodes(before, after), ...readers])];
}

/** Channels that can go without changing any result; one of each group stays. */
function deadClasses(model: Model, channels: Channels, groups: readonly Group[]): readonly number[] {
  const constants = constantChannels(model);
  const readers = readersOf(model, channels);
  const needed = neededClasses(model, channels, readers, constants);
  return groups.flatMap(({ classes }) => {
    const free = classes.filter((of) => !needed.has(of));
    return free.length === classes.length ? free.slice(1) : free;
  });
}

/** Classes that some weight reads, and whose part in the result cannot move into a bias. */
function neededClasses(
  model: Model,
  channels: Channels,
  readers: readonly Reader[],
  constants: ConstantChannels,
): ReadonlySet<number> {
  const needed = new Set<number>();
  const seen = new Set(readers.map(({ layer }) => layer.node.id));
  for (const node of model.graphs[0].nodes) {
    if (seen.has(node.id)) continue;
    for (const { input, inputAxis } of operatorOf(model, node)?.weights?.(node, model) ?? []) {
      const id = node.inputs[input];
      if (id == null || inputAxis === undefined) continue;
      for (const of of channels.classesOf({ id, axis: inputAxis }) ?? []) needed.add(of);
    }
  }
  for (const { layer, columnClasses } of readers) {
    const matrix = matrixOf(layer);
    const lives = livingWeights(matrix);
    const reads = constants.get(layer.activation);
    const channel = channelOf(model, layer);
    const { outputs, inputs } = layer;
    const moves = takesShift(model.graphs[0], layer) && staysInside(model, layer) && plain(layer.node);
    for (let o = 0; o < outputs; o += 1)
      for (let i = 0; i < inputs; i += 1) {
        if (!lives(o * inputs + i)) continue;
        const value = reads?.[channel(i, o)] ?? Number.NaN;
        if (value !== 0 && (Number.isNaN(value) || !moves)) needed.add(columnClasses[i] as number);
      }
  }
  return needed;
}

function plain(node: Node): boolean {
  return node.op !== 'Gemm' || floatAttribute(node, 'alpha', 1) === 1;
}

/** What constant channels that go have added to each output of the layers that read them. */
function shiftsOf(
  model: Model,
  channels: Channels,
  dead: ReadonlySet<number>,
): ReadonlyMap<NodeId, Float64Array> {
  const constants = constantChannels(model);
  const shifts = new Map<NodeId, Float64Array>();
  for (const { layer, columnClasses } of readersOf(model, channels)) {
    const reads = constants.get(layer.activation);
    if (reads === undefined) continue;
    const matrix = matrixOf(layer);
    const channel = channelOf(model, layer);
    const shift = new Float64Array(layer.outputs).map((_, o) => {
      let sum = 0;
      columnClasses.forEach((of, i) => {
        const value = reads[channel(i, o)] as number;
        if (dead.has(of) && value !== 0 && !Number.isNaN(value))
          sum += value * (matrix[o * layer.inputs + i] as number);
      });
      return sum;
    });
    if (shift.some((each) => each !== 0)) shifts.set(layer.node.id, shift);
  }
  return shifts;
}
