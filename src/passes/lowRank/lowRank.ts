import { analyse } from '../../analysis/analyse.ts';
import { KerfError } from '../../ir/errors.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Model, Node } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import type { Calibrator, OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import type { DenseLayer } from '../support/denseLayer.ts';
import { biasOf, denseLayerOf } from '../support/denseLayer.ts';
import { changedNodes, resultOf } from '../support/graph.ts';
import { indexOf } from '../../ir/walk.ts';
import { readOptions } from '../support/options.ts';
import { prepared } from '../support/prepare.ts';
import type { Choice } from './ranks.ts';
import { costShare, ranksByEnergy, ranksByMacs } from './ranks.ts';
import { refitFactors } from './refit.ts';
import { splitLayer } from './rewrite.ts';
import type { Factors, Spectrum } from './spectrum.ts';
import { factorsOf, lossOf, spectrumOf } from './spectrum.ts';

/** The cubic cost of the decomposition stays within seconds. */
const mostOutputs = 1024;
/** Gram matrices held at once; more layers mean another run over the data. */
const bytesAtOnce = 256 * 2 ** 20;

/** Splits layers in two thinner ones along the principal axes of their outputs (output PCA; see `spectrumOf`). */
export const lowRank: Pass = {
  id: 'low-rank',
  title: 'Factorize layers',
  summary:
    'Splits convolutions and dense layers in two of lower rank, fitted to calibration data: fewer multiplications and weights.',
  dialects: ['onnx', 'tflite'],
  exact: false,
  calibration: 'required',
  mayBeSlower: true,
  options: [
    {
      name: 'energy',
      title: "Share of the variance of each layer's outputs that is kept",
      type: 'number',
      default: 0.99,
      min: 0,
      max: 1,
    },
    {
      name: 'macs',
      title: "Share of the model's MACs that is kept; 0 to go by energy",
      type: 'number',
      default: 0,
      min: 0,
      max: 1,
    },
    {
      name: 'multiple',
      title: 'Ranks are multiples of this',
      type: 'integer',
      default: 4,
      min: 1,
      max: 64,
    },
    {
      name: 'refit',
      title:
        'Fit each layer, split or not, to what the layers before it have become: one more run over the data per depth',
      type: 'boolean',
      default: true,
    },
  ],
  appliesTo: (node, model) => {
    const layer = denseLayerOf(model, node);
    return layer !== undefined && canPay(layer);
  },
  run: runLowRank,
};

/** Below this even the smallest useful rank, 4, costs as much as the layer. */
function canPay({ outputs, inputs }: DenseLayer): boolean {
  return outputs <= mostOutputs && 4 * (outputs + inputs) < outputs * inputs;
}

async function runLowRank(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  const options = readOptions(lowRank.options, values);
  const { calibrator } = context;
  if (calibrator === undefined) throw new KerfError('bad-dataset', 'low-rank needs calibration data');
  const macs = options.number('macs');
  const energy = options.number('energy');
  if (macs === 1 || (macs === 0 && energy === 1))
    return resultOf(model, model, [], ['everything is to be kept: nothing to factorize']);
  const start = await prepared(model, context);
  const graph = start.model.graphs[0];
  const layers = graph.nodes.flatMap((node) => {
    if (context.layers !== undefined && !context.layers.has(node.id)) return [];
    const layer = denseLayerOf(start.model, node);
    return layer !== undefined && canPay(layer) && biasOf(graph, layer) !== undefined ? [layer] : [];
  });
  if (layers.length === 0) return resultOf(model, model, [], ['no layer is large enough to factorize']);
  const spectra = await spectraOf(start.model, layers, calibrator, context);
  const multiple = options.number('multiple');
  const plan =
    macs === 0
      ? { choices: ranksByEnergy(spectra, energy, multiple), notes: [] }
      : planByMacs(model, start.model, spectra, macs, multiple);
  const notes = [...plan.notes, ...leftOut(layers, spectra, plan.choices)];
  if (plan.choices.length === 0) return resultOf(model, model, [], notes);
  const after = options.boolean('refit')
    ? await refitted(start.model, plan.choices, calibrator, context)
    : splitAll(
        start.model,
        plan.choices.map(({ spectrum, rank }) => ({
          layer: spectrum.layer,
          factors: factorsOf(spectrum, rank),
        })),
      );
  const report = [...start.notes, ...reportOf(plan.choices, calibrator), ...notes];
  return resultOf(model, after, changedNodes(model.graphs[0], after.graphs[0]), report);
}

/** Split with factors that were found layer after layer; what the rank loses is made up for further on. */
async function refitted(
  model: Model,
  choices: readonly Choice[],
  calibrator: Calibrator,
  context: PassContext,
): Promise<Model> {
  const ranks = new Map(choices.map(({ spectrum, rank }) => [spectrum.layer.node.id, rank]));
  const fitted = await refitFactors(model, ranks, calibrator, context);
  const { node } = indexOf(fitted.model.graphs[0]);
  const parts = [...ranks.keys()].flatMap((id) => {
    const layer = denseLayerOf(fitted.model, node.get(id) as Node);
    const factors = fitted.factors.get(id);
    return layer === undefined || factors === undefined ? [] : [{ layer, factors }];
  });
  return splitAll(fitted.model, parts);
}

function splitAll(model: Model, parts: readonly { layer: DenseLayer; factors: Factors }[]): Model {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  for (const { layer, factors } of parts) {
    splitLayer(model, editor, layer, factors, biasOf(graph, layer) as Float64Array);
  }
  return withMainGraph(model, editor.finish());
}

async function spectraOf(
  model: Model,
  layers: readonly DenseLayer[],
  calibrator: Calibrator,
  context: PassContext,
): Promise<Spectrum[]> {
  const spectra: Spectrum[] = [];
  for (let first = 0; first < layers.length; ) {
    let end = first;
    for (let bytes = 0; end < layers.length; end += 1) {
      bytes += 8 * (layers[end] as DenseLayer).inputs ** 2;
      if (end > first && bytes > bytesAtOnce) break;
    }
    const group = layers.slice(first, end);
    const moments = await calibrator.moments(
      model,
      group.map((layer) => layer.node.id),
    );
    for (const [i, layer] of group.entries()) {
      await context.step((first + i) / layers.length, `analysing the outputs of ${layer.node.id}`);
      const seen = moments.get(layer.node.id);
      if (seen !== undefined && seen.gram.every(Number.isFinite)) spectra.push(spectrumOf(layer, seen));
    }
    first = end;
  }
  return spectra;
}

/** Budgets count from the model as it was given. */
function planByMacs(
  before: Model,
  model: Model,
  spectra: readonly Spectrum[],
  share: number,
  multiple: number,
): { choices: Choice[]; notes: string[] } {
  const total = analyse(before).totals.macs;
  const now = analyse(model);
  if (total === undefined || now.totals.macs === undefined)
    return { choices: [], notes: ["the model's MACs are unknown: use energy instead of macs"] };
  const costs = new Map(now.layers.map((layer) => [layer.id, layer.macs ?? 0]));
  const macsOf = ({ layer }: Spectrum) => costs.get(layer.node.id) ?? 0;
  const counted = spectra.filter((spectrum) => macsOf(spectrum) > 0);
  const wanted = now.totals.macs - share * total;
  const choices = ranksByMacs(counted, macsOf, wanted, multiple);
  let left = now.totals.macs;
  for (const { spectrum, rank } of choices) left -= macsOf(spectrum) * (1 - costShare(spectrum, rank));
  const percent = ((100 * left) / total).toFixed(1);
  const reached = left <= share * total;
  const note = `${percent} % of the MACs are left${reached ? '' : `: the smallest ranks do not reach ${100 * share} %`}`;
  return { choices, notes: choices.length === 0 ? [] : [note] };
}

function reportOf(choices: readonly Choice[], { source, samples }: Calibrator): string[] {
  const losses = choices.map(({ spectrum, rank }) => lossOf(spectrum, rank));
  const worst = (100 * Math.max(...losses)).toPrecision(3);
  return [
    `${choices.length} layers factorized on ${samples} samples of ${source}; the worst loses ${worst} % of its variance`,
  ];
}

function leftOut(
  layers: readonly DenseLayer[],
  spectra: readonly Spectrum[],
  choices: readonly Choice[],
): string[] {
  const notes: string[] = [];
  const unseen = layers.length - spectra.length;
  const unpaid = spectra.length - choices.length;
  if (unseen > 0) notes.push(`${unseen} layers could not be observed and stay`);
  if (unpaid > 0) notes.push(`${unpaid} layers stay whole: no rank that pays keeps enough`);
  return notes;
}
