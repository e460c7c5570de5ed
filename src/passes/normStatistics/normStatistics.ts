import { intAttribute } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Model, Node } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { floatTensor } from '../../ir/numbers.ts';
import type { ChannelMoments, OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { readableConstant } from '../support/constants.ts';
import { isOnnxOp, resultOf } from '../support/graph.ts';
import { upTo } from '../support/layerStages.ts';

/**
 * Puts the means and variances that the data have now in the place of those from training, in the order of the graph
 * (AdaBN, arXiv 1603.04779; after pruning, arXiv 1810.05270 and EagleEye, arXiv 2007.02491).
 */
export const normStatistics: Pass = {
  id: 'norm-statistics',
  title: 'Estimate batch-norm statistics again',
  summary:
    'Means and variances of batch normalizations from sample data: for models that were pruned, rounded or clustered elsewhere, or that see other data now.',
  dialects: ['onnx'],
  refusal:
    'TFLite has no batch normalization: converters fold it, and the statistics are gone; prune-magnitude, prune-channels and cluster correct means and variances themselves',
  exact: false,
  calibration: 'required',
  options: [],
  appliesTo: (node, model) => normOf(model, node) !== undefined,
  run: runNormStatistics,
};

interface Norm {
  readonly node: Node;
  readonly reads: string;
  readonly channels: number;
}

/** A batch normalization with statistics of its own as constants; one that trains computes them itself. */
function normOf(model: Model, node: Node): Norm | undefined {
  if (model.dialect !== 'onnx' || !isOnnxOp(node, 'BatchNormalization')) return undefined;
  if (node.outputs.slice(1).some((id) => id !== null) || intAttribute(node, 'training_mode', 0) !== 0)
    return undefined;
  const [reads, , , mean, variance] = node.inputs;
  const tensors = [mean, variance].map((id) => readableConstant(model.graphs[0], id));
  const channels = tensors[0]?.dims[0];
  const fits = tensors.every(
    (tensor) => tensor?.dtype === 'float32' && tensor.dims.length === 1 && tensor.dims[0] === channels,
  );
  return fits && reads != null && channels !== undefined ? { node, reads, channels } : undefined;
}

async function runNormStatistics(
  model: Model,
  _values: OptionValues,
  context: PassContext,
): Promise<PassResult> {
  const { calibrator, layers } = context;
  if (calibrator === undefined) throw new KerfError('bad-dataset', 'norm-statistics needs calibration data');
  const norms = model.graphs[0].nodes.flatMap((node) => {
    const norm = layers === undefined || layers.has(node.id) ? normOf(model, node) : undefined;
    return norm === undefined ? [] : [norm];
  });
  if (norms.length === 0)
    return resultOf(
      model,
      model,
      [],
      [
        'there is no batch normalization with constant statistics; where it is folded into weights, prune and cluster correct means and variances themselves',
      ],
    );
  let current = model;
  const changed: string[] = [];
  const waves = wavesOf(model, norms);
  for (const [index, wave] of waves.entries()) {
    await context.step(index / waves.length, `means and variances of ${wave[0]?.node.id}`);
    const ids = wave.map(({ node }) => node.id);
    const seen = await calibrator.channels(
      upTo(current, ids),
      wave.map(({ reads }) => ({ value: reads, axis: 1 })),
    );
    const usable = wave.filter(({ reads, channels }) => usableMoments(seen.get(reads), channels));
    current = withMoments(current, usable, seen);
    changed.push(...usable.map(({ node }) => node.id));
  }
  const notes = [
    `means and variances of ${changed.length} batch normalizations from ${calibrator.samples} samples of ${calibrator.source}`,
  ];
  if (changed.length < norms.length)
    notes.push(`${norms.length - changed.length} others keep theirs: what they read could not be observed`);
  return changed.length === 0 ? resultOf(model, model, [], notes) : { model: current, changed, notes };
}

function usableMoments(seen: ChannelMoments | undefined, channels: number): boolean {
  return (
    seen !== undefined &&
    seen.count > 1 &&
    seen.mean.length === channels &&
    seen.mean.every(Number.isFinite) &&
    seen.variance.every(Number.isFinite)
  );
}

function withMoments<M extends Model>(
  model: M,
  norms: readonly Norm[],
  seen: ReadonlyMap<string, ChannelMoments>,
): M {
  const editor = new GraphEditor(model.graphs[0], model);
  for (const { node, reads } of norms) {
    const { mean, variance } = seen.get(reads) as ChannelMoments;
    const dims = [mean.length];
    const inputs = [
      ...node.inputs.slice(0, 3),
      editor.addConstant(`${node.inputs[3]}`, floatTensor(dims, Float32Array.from(mean))),
      editor.addConstant(`${node.inputs[4]}`, floatTensor(dims, Float32Array.from(variance))),
    ];
    editor.replaceNode(node.id, [{ ...node, inputs }]);
  }
  return withMainGraph(model, editor.finish());
}

/** Norms that no other one stands between, one wave after another. */
function wavesOf(model: Model, norms: readonly Norm[]): readonly (readonly Norm[])[] {
  const byId = new Map(norms.map((norm) => [norm.node.id, norm]));
  const depths = new Map<string, number>();
  const waves: Norm[][] = [];
  for (const node of model.graphs[0].nodes) {
    let depth = Math.max(0, ...node.inputs.map((id) => depths.get(id ?? '') ?? 0));
    const norm = byId.get(node.id);
    if (norm !== undefined) {
      (waves[depth] ??= []).push(norm);
      depth += 1;
    }
    for (const id of node.outputs) if (id !== null) depths.set(id, depth);
  }
  return waves;
}
