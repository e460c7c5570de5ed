import { missingWeights } from './missingWeights.ts';
import { exceedsFlash } from './exceedsFlash.ts';
import { exceedsRam } from './exceedsRam.ts';
import { exceedsAcceleratorMemory } from './exceedsAcceleratorMemory.ts';
import { unsupportedOperator } from './unsupportedOperator.ts';
import { floatOnIntegerDevice } from './floatOnIntegerDevice.ts';
import { hybridOnMicrocontroller } from './hybridOnMicrocontroller.ts';
import { dynamicShape } from './dynamicShape.ts';
import { layerTooLarge } from './layerTooLarge.ts';
import { float32WeightsLarge } from './float32WeightsLarge.ts';
import { batchNormNotFolded } from './batchNormNotFolded.ts';
import { unusedWeights } from './unusedWeights.ts';
import { redundantQuantizePair } from './redundantQuantizePair.ts';
import { quantizedConvWithoutOutput } from './quantizedConvWithoutOutput.ts';
import { nonzeroWeightZeroPoint } from './nonzeroWeightZeroPoint.ts';
import { tfliteBiasAxis } from './tfliteBiasAxis.ts';
import { unresolvedOperator } from './unresolvedOperator.ts';
import { overFileBudget, overLatencyBudget, overMacsBudget, overRamBudget } from './budget.ts';
import type { Finding, Rule, RuleContext, Severity } from './rule.ts';

/** Every rule, in the order of the manual. */
export const rules: readonly Rule[] = [
  missingWeights,
  exceedsFlash,
  exceedsRam,
  exceedsAcceleratorMemory,
  unsupportedOperator,
  floatOnIntegerDevice,
  hybridOnMicrocontroller,
  dynamicShape,
  layerTooLarge,
  float32WeightsLarge,
  batchNormNotFolded,
  unusedWeights,
  redundantQuantizePair,
  quantizedConvWithoutOutput,
  nonzeroWeightZeroPoint,
  tfliteBiasAxis,
  unresolvedOperator,
  overFileBudget,
  overRamBudget,
  overMacsBudget,
  overLatencyBudget,
];

export function ruleById(id: string): Rule | undefined {
  return rules.find((rule) => rule.id === id);
}

const weight: Record<Severity, number> = { error: 0, warning: 1, information: 2, hint: 3 };

/**
 * What all rules have to say about a model, the worst first. Never throws: a rule that fails becomes a finding that
 * names it, and the others are heard.
 */
export function checkModel(context: RuleContext, among: readonly Rule[] = rules): readonly Finding[] {
  const findings = among.flatMap((rule) => guarded(rule, context));
  return findings.sort((a, b) => weight[a.severity] - weight[b.severity]);
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
