import { attr } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Model, Node, NodeId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { floatTensor, intTensor } from '../../ir/numbers.ts';
import type { DenseLayer } from '../support/denseLayer.ts';
import { factsOf } from '../support/facts.ts';

/** Layers that are there to be observed only: nothing reads them, and no saved model has them. */
interface Probed<M extends Model> {
  readonly model: M;
  /** The probe in the place of each layer. */
  readonly probes: ReadonlyMap<NodeId, NodeId>;
}

/** A depthwise layer, and those of its channels that are to be observed. */
export interface Site {
  readonly layer: DenseLayer;
  readonly channels: readonly number[];
}

/** The model with a depthwise layer more per site, that meets these channels of the layer's input in its window. */
export function withProbes<M extends Model>(model: M, sites: readonly Site[]): Probed<M> {
  const [graph] = model.graphs;
  const editor = new GraphEditor(graph, model);
  const probes = new Map<NodeId, NodeId>();
  const last = graph.nodes.at(-1);
  for (const site of last === undefined ? [] : sites) {
    const part = partOf(model, editor, site);
    const probe = probeOf(model, editor, site, part.outputs[0] as string);
    editor.insertAfter((last as Node).id, [part, probe]);
    probes.set(site.layer.node.id, probe.id);
  }
  return { model: withMainGraph(model, editor.finish()) as M, probes };
}

function probeOf(model: Model, editor: GraphEditor, { layer, channels }: Site, reads: string): Node {
  const onnx = model.dialect === 'onnx';
  const count = channels.length;
  const taps = layer.weight.dims;
  const dims = onnx ? [count, 1, ...taps.slice(2)] : [1, ...taps.slice(1, 3), count];
  const zeros = (name: string, of: readonly number[]) =>
    editor.addConstant(
      name,
      floatTensor(of, new Float32Array(of.reduce((product, dim) => product * dim, 1))),
    );
  const inputs = [reads, zeros(`${layer.weightId}_probe`, dims)];
  if (!onnx) inputs.push(zeros(`${layer.weightId}_probe_bias`, [count]));
  const type = factsOf(model).typeOf(layer.node.outputs[0]);
  const shape = type?.shape?.map((dim, axis) =>
    axis === channelAxis(model, type.shape?.length) ? count : dim,
  );
  const output = editor.addValue(
    `${reads}_probe`,
    type === undefined ? {} : { type: { ...type, ...(shape !== undefined && { shape }) } },
  );
  const attributes = new Map(layer.node.attributes);
  if (attributes.has('group')) attributes.set('group', attr.int(count));
  const id = editor.freshNode(`${layer.node.id}/probe`);
  return { ...layer.node, id, name: onnx ? id : '', inputs, outputs: [output], attributes };
}

function channelAxis(model: Model, rank = 0): number {
  return model.dialect === 'onnx' ? 1 : rank - 1;
}

/** The chosen channels of what the layer reads. */
function partOf(model: Model, editor: GraphEditor, { layer, channels }: Site): Node {
  const onnx = model.dialect === 'onnx';
  const reads = layer.activation;
  const type = factsOf(model).typeOf(reads);
  const axis = channelAxis(model, type?.shape?.length);
  const list = intTensor(onnx ? 'int64' : 'int32', [channels.length], channels);
  const shape = type?.shape?.map((dim, i) => (i === axis ? channels.length : dim));
  const output = editor.addValue(
    `${reads}_part`,
    type === undefined ? {} : { type: { ...type, ...(shape !== undefined && { shape }) } },
  );
  const id = editor.freshNode(`${layer.node.id}/part`);
  return {
    id,
    name: onnx ? id : '',
    op: onnx ? 'Gather' : 'GATHER',
    domain: '',
    inputs: [reads, editor.addConstant(`${reads}_picked`, list)],
    outputs: [output],
    attributes: new Map([['axis', attr.int(axis)]]),
  };
}
