import type { Model } from '../ir/model.ts';
import type { Bindings } from './bind.ts';
import { bindDimensions, resized } from './bind.ts';
import { layerCost, Pricer, total } from './cost.ts';
import { bodyReports } from './bodies.ts';
import { planMemory } from './memory.ts';
import { planMicro } from './microArena.ts';
import type { Analysis } from './report.ts';
import { inferTypes, typesByGraph } from './types.ts';
import { findUnresolved } from './unresolved.ts';
import type { WeightTensor } from './weights.ts';
import { allWeightBytes, WeightLedger } from './weights.ts';

interface AnalyseOptions {
  /** Numbers for free dimensions: symbol name, input name or `input[axis]` to size. */
  readonly bind?: Bindings;
}

const analyses = new WeakMap<Model, Map<string, Analysis>>();

const weights = new WeakMap<Model, readonly WeightTensor[]>();

/** The stored tensors whose elements `params` counts, shared ones once. */
export function weightTensors(model: Model): readonly WeightTensor[] {
  if (!weights.has(model)) analyse(model);
  return weights.get(model) ?? [];
}

/**
 * Shapes, costs and the memory plan of a model, for one inference with the free dimensions bound as asked (the batch
 * is 1 unless bound). Reads no weight bytes. Damaged graphs are analysed as far as they go; nothing throws. The result
 * is kept with the model value.
 */
export function analyse(model: Model, options: AnalyseOptions = {}): Analysis {
  const bind = options.bind ?? {};
  const key = JSON.stringify(Object.entries(bind).sort());
  let kept = analyses.get(model);
  if (kept === undefined) {
    kept = new Map();
    analyses.set(model, kept);
  }
  let analysis = kept.get(key);
  if (analysis === undefined) {
    analysis = compute(model, bind);
    kept.set(key, analysis);
  }
  return analysis;
}

function compute(model: Model, bind: Bindings): Analysis {
  const bound = bindDimensions(model, bind);
  const inference = inferTypes(model, bound, resized(model.graphs[0], bind));
  const tools = { pricer: new Pricer(model, bound), ledger: new WeightLedger(model) };
  const { main } = inference;
  const layers = main.graph.nodes.map((node) => layerCost(node, main, model, tools));
  // Planned when someone looks: a picture after an edit does not, and planning is a fifth of the analysis.
  const memory = once(() => planMemory(main, model));
  const micro = once(() => planMicro(main, model));
  weights.set(model, tools.ledger.weights);
  return {
    types: typesByGraph(inference),
    layers,
    totals: {
      params: layers.reduce((sum, layer) => sum + layer.params, 0),
      weightBytes: allWeightBytes(model),
      macs: total(layers.map((layer) => layer.macs)),
      flops: total(layers.map((layer) => layer.flops)),
      get peakActivationBytes() {
        return memory()?.peakBytes;
      },
    },
    unresolved: findUnresolved(inference, model, bound.free),
    get memory() {
      return memory();
    },
    get micro() {
      return micro();
    },
    bodies: bodyReports(main, model, tools.pricer),
    freeDimensions: [...bound.free],
  };
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
