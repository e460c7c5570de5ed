import { targetRefusals } from '../devices/targets/refusal.ts';
import type { TargetRefusal } from '../devices/targets/subject.ts';
import { targetOfDevice } from '../devices/targets/registry.ts';
import type { TargetRules } from '../devices/targets/target.ts';
import { againstFloat, computesInFloat } from '../devices/targets/target.ts';
import type { NodeId } from '../ir/model.ts';
import type { Finding, Fix, Rule, RuleContext, Severity } from './rule.ts';
import { onLayers, onModel } from './support.ts';

export const targetRefuses: Rule = {
  id: 'target-refuses',
  severity: 'warning',
  title: 'The target does not run this on integers, or not with these numbers',
  manual: `Every runtime has its own rules for integer models: which operators have kernels, which types and zero points they take,
which scales must be equal or fixed, whether weights may have a scale per channel. The rules of each target are data
([targets](targets.md)); this finding lists where a model breaks those of the chosen one. What the target only computes more slowly
(an operator in float between integer ones) is information, what it hands back to another processor or cannot compute with
these numbers is a warning, what it does not run is an error.

**Example.** \`kerf check model.tflite --target edgetpu\` on a model with a GELU: the Edge TPU runs what comes before it, and
everything behind falls back to the processor.

**Remedy.** Quantize the float model for that target: \`kerf apply model.onnx --pass quantize-static --set target=qnn\`.`,
  check(context) {
    const { model, analysis } = context;
    const rules = targetOf(context);
    if (rules === undefined) return [];
    const groups = new Map<string, { readonly refusal: TargetRefusal; readonly layers: NodeId[] }>();
    for (const refusal of targetRefusals(model, analysis, rules)) {
      if (isToldElsewhere(context, refusal)) continue;
      const key = `${refusal.kind} ${refusal.reason}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { refusal, layers: [refusal.layer] });
      else group.layers.push(refusal.layer);
    }
    return [...groups.values()].flatMap(({ refusal, layers }) => findings(context, rules, refusal, layers));
  },
};

/** Other rules say it: of open dimensions, of the float layers of a device, of where the accelerator's part ends. */
function isToldElsewhere({ target, device }: RuleContext, { kind, reason }: TargetRefusal): boolean {
  if (kind === 'shape') return true;
  if (target !== undefined || device === undefined) return false;
  return (
    (device.integerOnly && reason === computesInFloat) ||
    (kind === 'behind' && device.supported !== undefined) ||
    (kind === 'refused' &&
      reason.endsWith(againstFloat) &&
      (device.class === 'mcu' || device.class === 'npu'))
  );
}

const severities: Readonly<Record<TargetRefusal['kind'], Severity>> = {
  float: 'information',
  processor: 'warning',
  behind: 'warning',
  numbers: 'warning',
  refused: 'error',
  shape: 'error',
  dialect: 'error',
};

/** The chosen target, or the one that the device has for models of this format. */
function targetOf({ target, device, model }: RuleContext): TargetRules | undefined {
  if (target !== undefined) return target;
  return device === undefined ? undefined : targetOfDevice(device, model.dialect);
}

function findings(
  context: RuleContext,
  rules: TargetRules,
  { kind, reason, layer }: TargetRefusal,
  layers: readonly NodeId[],
): readonly Finding[] {
  const rule = { id: targetRefuses.id, severity: severities[kind] };
  const fixes = kind === 'processor' && reason === computesInFloat ? quantizing(context, rules) : [];
  if (layer === '') return onModel(rule, `${rules.name}: ${reason}.`, fixes);
  return onLayers(rule, layers, (where) => `${rules.name}: ${reason}${where}.`, fixes);
}

function quantizing({ model }: RuleContext, rules: TargetRules): readonly Fix[] {
  const isFloat = model.graphs[0].nodes.every((node) => !/^quantize/i.test(node.op));
  if (!isFloat) return [];
  return [
    { pass: 'quantize-static', options: { target: rules.id }, title: `Quantize to 8 bits for ${rules.name}` },
  ];
}
