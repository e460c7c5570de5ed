import { KerfError } from '../../ir/errors.ts';
import { analyse } from '../../analysis/analyse.ts';
import type { Analysis } from '../../analysis/report.ts';
import { targetNamed } from '../../devices/targets/registry.ts';
import { sparsityOf, tensorStatistics } from '../../analysis/statistics.ts';
import { estimateOn } from '../../devices/estimate.ts';
import { printOnnxSyntax } from '../../formats/text/onnxSyntax.ts';
import { printModel } from '../../formats/text/print.ts';
import type { Model } from '../../ir/model.ts';
import { feedsOf } from '../../ir/model.ts';
import type { ValueType } from '../../ir/types.ts';
import { describeType } from '../../ir/types.ts';
import { passes } from '../../passes/registry.ts';
import { configured } from '../../rules/configured.ts';
import { checkModel } from '../../rules/registry.ts';
import { budgetUses } from '../../rules/budget.ts';
import type { Budget, Finding, RuleContext } from '../../rules/rule.ts';
import { checkBindings } from '../bindings.ts';
import { deviceNamed } from '../deviceFiles.ts';
import { graphView } from '../graphView.ts';
import { inspectFacts } from '../inspectFacts.ts';
import type { EngineMethods } from './method.ts';
import { layerRow, nodeDetails } from '../nodeDetails.ts';
import type { Checks } from '../protocol.ts';
import type { InspectReport, TensorSummary } from '../answers.ts';
import type { Held, ModelStore } from '../store.ts';
import { constantOf } from './weights.ts';

/** Weights up to this size are read to count zeros without being asked. */
const sparsityLimit = 64 * 1024 * 1024;

type Looks = 'inspect' | 'graph' | 'node' | 'layers' | 'tensor' | 'text' | 'onnxText' | 'check';

export function lookMethods(store: ModelStore): Pick<EngineMethods, Looks> {
  const contextOf = (held: Held, device?: string, budget: Budget = {}): RuleContext => {
    const profile = device === undefined ? undefined : deviceNamed(device);
    return {
      model: held.model,
      analysis: analyse(held.model),
      budget,
      fileBytes: store.fileBytes(held),
      ...(profile && { device: profile }),
    };
  };
  // The page asks for graph, node and findings of one model again and again; a check of 10,000 layers is not free.
  const kept = new WeakMap<Model, Map<string, readonly Finding[]>>();
  const findingsOf = (
    held: Held,
    device?: string,
    budget: Budget = {},
    target?: string,
  ): readonly Finding[] => {
    const rules = target === undefined ? undefined : targetNamed(target, held.model.dialect);
    const context = { ...contextOf(held, device, budget), ...(rules && { target: rules }) };
    const key = JSON.stringify([context.device, budget, rules?.id]);
    const known = kept.get(held.model) ?? new Map<string, readonly Finding[]>();
    kept.set(held.model, known);
    const findings = known.get(key) ?? checkModel(context);
    known.set(key, findings);
    return findings;
  };
  const shownFindings = (held: Held, device?: string, checks?: Checks): readonly Finding[] => {
    const findings = findingsOf(held, device, checks?.budget);
    return checks === undefined ? findings : configured(findings, checks, checks.file);
  };
  return {
    inspect({ handle, bind, sparsity }) {
      const held = store.get(handle);
      checkBindings(bind, [held.model]);
      return inspectReport(store, held, bind, sparsity);
    },

    graph({ handle, device, graph, checks, marks = true }) {
      const held = store.get(handle);
      const analysis = analyse(held.model);
      const estimate =
        device === undefined
          ? undefined
          : estimateOn(deviceNamed(device), held.model, analysis, { fileBytes: store.fileBytes(held) });
      const findings = marks ? shownFindings(held, device, checks) : [];
      return graphView(held.model, analysis, findings, estimate, graph);
    },

    node({ handle, id, device, checks, brief = false }) {
      const held = store.get(handle);
      const analysis = analyse(held.model);
      if (brief) return nodeDetails(held.model, analysis, id, [], []);
      return nodeDetails(held.model, analysis, id, passes, shownFindings(held, device, checks));
    },

    layers({ handle }) {
      const { layers, memory } = analyse(store.get(handle).model);
      return { layers, memory: memory ?? null };
    },

    tensor: (at) => tensorStatistics(constantOf(store, at)),

    text({ handle }) {
      const { model } = store.get(handle);
      const { types } = analyse(model);
      return printModel(model, { types: (graph, value) => types.get(graph)?.get(value) });
    },

    onnxText({ handle, layers }) {
      const { model, path } = store.get(handle);
      if (model.dialect !== 'onnx')
        throw new KerfError('unsupported', 'the ONNX text syntax is for ONNX models', { file: path });
      const { types } = analyse(model);
      const chosen = layers === undefined ? undefined : new Set(layers);
      return { text: printOnnxSyntax(model, chosen, (graph, value) => types.get(graph)?.get(value)) };
    },

    check({ handle, device, budget, target }) {
      const held = store.get(handle);
      const limits = budgetUses(contextOf(held, device, budget));
      return {
        findings: findingsOf(held, device, budget, target),
        ...(limits.length > 0 && { budget: limits }),
      };
    },
  };
}

/** The numbers of `inspect`. */
function inspectReport(
  store: ModelStore,
  held: Held,
  bind?: Readonly<Record<string, number>>,
  withSparsity?: boolean,
): InspectReport {
  const { model } = held;
  const analysis = analyse(model, bind === undefined ? {} : { bind });
  const { totals } = analysis;
  const count = withSparsity ?? totals.weightBytes <= sparsityLimit;
  return {
    format: model.dialect,
    producer: producerOf(model),
    opset: defaultVersion(model),
    fileBytes: store.fileBytes(held),
    weightBytes: totals.weightBytes,
    params: totals.params,
    macs: totals.macs ?? null,
    flops: totals.flops ?? null,
    peakActivationBytes: totals.peakActivationBytes ?? null,
    sparsity: count ? (sparsityOf(model) ?? null) : null,
    unresolved: analysis.unresolved,
    freeDimensions: analysis.freeDimensions,
    inputs: summaries(model, analysis, 'inputs'),
    outputs: summaries(model, analysis, 'outputs'),
    layers: analysis.layers.map(layerRow),
    damage: held.damage,
    ...inspectFacts(model, analysis, store.fileBytes(held)),
  };
}

/** ONNX spells its default domain in two ways; a model of contributed operators alone may import neither. */
function defaultVersion(model: Model): number | null {
  if (model.dialect === 'tflite') return model.version;
  return model.opsets.get('') ?? model.opsets.get('ai.onnx') ?? null;
}

function producerOf(model: Model): string {
  if (model.dialect === 'onnx')
    return [model.producerName, model.producerVersion].filter((part) => part !== '').join(' ');
  return model.description;
}

function summaries(model: Model, analysis: Analysis, side: 'inputs' | 'outputs'): TensorSummary[] {
  const graph = model.graphs[0];
  const ids = side === 'inputs' ? feedsOf(graph).map((value) => value.id) : graph.outputs;
  return ids.map((id) => summary(graph.values.get(id)?.name ?? id, analysis.types.get(graph)?.get(id)));
}

function summary(name: string, type: ValueType | undefined): TensorSummary {
  const tensor = type?.kind === 'tensor' ? type : undefined;
  return { name, type: describeType(type), shape: tensor?.shape ?? null, dtype: tensor?.dtype ?? 'unknown' };
}
