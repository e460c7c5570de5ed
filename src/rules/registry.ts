import { missingWeights } from './missingWeights.ts';
import { nonFiniteWeights } from './nonFiniteWeights.ts';
import { opsetAboveRuntime } from './opsetAboveRuntime.ts';
import { opsetTooOld } from './opsetTooOld.ts';
import { exceedsFlash } from './exceedsFlash.ts';
import { exceedsRam } from './exceedsRam.ts';
import { exceedsAcceleratorMemory } from './exceedsAcceleratorMemory.ts';
import { unsupportedOperator } from './unsupportedOperator.ts';
import { delegateCut } from './delegateCut.ts';
import { targetRefuses } from './targetRefuses.ts';
import { floatOnIntegerDevice } from './floatOnIntegerDevice.ts';
import { hybridOnMicrocontroller } from './hybridOnMicrocontroller.ts';
import { halfPrecisionOnCpu } from './halfPrecisionOnCpu.ts';
import { signedActivationsOnX86 } from './signedActivationsOnX86.ts';
import { dynamicShape } from './dynamicShape.ts';
import { fixedBatch } from './fixedBatch.ts';
import { boundaryTranspose } from './boundaryTranspose.ts';
import { floatInputOutput } from './floatInputOutput.ts';
import { preprocessingOutside } from './preprocessingOutside.ts';
import { layerTooLarge } from './layerTooLarge.ts';
import { layerTooSlow } from './layerTooSlow.ts';
import { memoryPeak } from './memoryPeak.ts';
import { float32WeightsLarge } from './float32WeightsLarge.ts';
import { batchNormNotFolded } from './batchNormNotFolded.ts';
import { affineNotFolded } from './affineNotFolded.ts';
import { padNotFolded } from './padNotFolded.ts';
import { activationNotFused } from './activationNotFused.ts';
import { noOperation } from './noOperation.ts';
import { wastedTranspose } from './wastedTranspose.ts';
import { wastedCast } from './wastedCast.ts';
import { redundantQuantizePair } from './redundantQuantizePair.ts';
import { unusedWeights } from './unusedWeights.ts';
import { duplicateWeights } from './duplicateWeights.ts';
import { constantFilled } from './constantFilled.ts';
import { deadChannels } from './deadChannels.ts';
import { outlierChannels } from './outlierChannels.ts';
import { saturatedWeights } from './saturatedWeights.ts';
import { reducedWeightRange } from './reducedWeightRange.ts';
import { unusedQuantizationRange } from './unusedQuantizationRange.ts';
import { quantizedConvWithoutOutput } from './quantizedConvWithoutOutput.ts';
import { weightOnlyConvolution } from './weightOnlyConvolution.ts';
import { floatIsland } from './floatIsland.ts';
import { invalidQuantization } from './invalidQuantization.ts';
import { nonzeroWeightZeroPoint } from './nonzeroWeightZeroPoint.ts';
import { biasScaleMismatch } from './biasScaleMismatch.ts';
import { tfliteBiasAxis } from './tfliteBiasAxis.ts';
import { sameScaleRequired } from './sameScaleRequired.ts';
import { fixedScaleRequired } from './fixedScaleRequired.ts';
import { tfliteOperatorVersion } from './tfliteOperatorVersion.ts';
import { misalignedWeights } from './misalignedWeights.ts';
import { nonDeterministicOperator } from './nonDeterministicOperator.ts';
import { trainingMode } from './trainingMode.ts';
import { clashingNames } from './clashingNames.ts';
import { unnamedLayers } from './unnamedLayers.ts';
import { unresolvedOperator } from './unresolvedOperator.ts';
import { overFileBudget, overLatencyBudget, overMacsBudget, overRamBudget } from './budget.ts';
import type { Model } from '../ir/model.ts';
import { passById } from '../passes/registry.ts';
import { withGains } from './gain.ts';
import type { Finding, Rule, RuleContext, Severity } from './rule.ts';

/** Every rule, in the order of the manual. */
export const rules: readonly Rule[] = [
  missingWeights,
  nonFiniteWeights,
  opsetAboveRuntime,
  opsetTooOld,
  exceedsFlash,
  exceedsRam,
  exceedsAcceleratorMemory,
  unsupportedOperator,
  delegateCut,
  targetRefuses,
  floatOnIntegerDevice,
  hybridOnMicrocontroller,
  halfPrecisionOnCpu,
  signedActivationsOnX86,
  dynamicShape,
  fixedBatch,
  boundaryTranspose,
  floatInputOutput,
  preprocessingOutside,
  layerTooLarge,
  layerTooSlow,
  memoryPeak,
  float32WeightsLarge,
  batchNormNotFolded,
  affineNotFolded,
  padNotFolded,
  activationNotFused,
  noOperation,
  wastedTranspose,
  wastedCast,
  redundantQuantizePair,
  unusedWeights,
  duplicateWeights,
  constantFilled,
  deadChannels,
  outlierChannels,
  saturatedWeights,
  reducedWeightRange,
  unusedQuantizationRange,
  quantizedConvWithoutOutput,
  weightOnlyConvolution,
  floatIsland,
  invalidQuantization,
  nonzeroWeightZeroPoint,
  biasScaleMismatch,
  tfliteBiasAxis,
  sameScaleRequired,
  fixedScaleRequired,
  tfliteOperatorVersion,
  misalignedWeights,
  nonDeterministicOperator,
  trainingMode,
  clashingNames,
  unnamedLayers,
  unresolvedOperator,
  overFileBudget,
  overRamBudget,
  overMacsBudget,
  overLatencyBudget,
];

const weight: Record<Severity, number> = { error: 0, warning: 1, information: 2, hint: 3 };

/**
 * What all rules have to say about a model, the worst first. Never throws: a rule that fails becomes a finding that
 * names it, and the others are heard.
 */
export function checkModel(context: RuleContext, among: readonly Rule[] = rules): readonly Finding[] {
  const found = among.flatMap((rule) => guarded(rule, context));
  const curable = found.some(({ rule }) => rule === missingWeights.id) ? found.map(withoutWeights) : found;
  const possible = hasForeignOperators(context.model) ? curable.map(withoutRunning) : curable;
  const findings = [...withGains(context, possible)];
  return findings.sort((a, b) => weight[a.severity] - weight[b.severity]);
}

/** Passes that only move nodes and types around, and so work on a model whose weights are not there. */
const structural = new Set([
  'simplify',
  'layout',
  'reorder',
  'remove-layers',
  'rename',
  'set-shape',
  'io-types',
]);

/** A cure that has to read weights is none where they are missing. */
function withoutWeights(finding: Finding): Finding {
  return { ...finding, fixes: finding.fixes.filter(({ pass }) => structural.has(pass)) };
}

/** Domains whose operators ONNX Runtime brings along. */
const runtimeDomains = new Set(['', 'ai.onnx', 'ai.onnx.ml', 'ai.onnx.training', 'com.microsoft']);

/** Whether some operator comes from a library of its own, so that the model does not run here. */
function hasForeignOperators(model: Model): boolean {
  if (model.dialect !== 'onnx') return false;
  const own = new Set(model.functions.map(({ domain }) => domain));
  return model.graphs[0].nodes.some(({ domain }) => !runtimeDomains.has(domain) && !own.has(domain));
}

/** A cure that observes the running model is none where it does not run. */
function withoutRunning(finding: Finding): Finding {
  const fixes = finding.fixes.filter(({ pass }) => passById(pass)?.calibration !== 'required');
  return { ...finding, fixes };
}

function guarded(rule: Rule, context: RuleContext): readonly Finding[] {
  try {
    return rule.check(context);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `The rule ${rule.id} failed and was left out: ${reason}`;
    return [{ rule: 'internal', severity: 'warning', message, fixes: [] }];
  }
}
