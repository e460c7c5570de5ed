import type { DeviceProfile } from '../devices/profile.ts';
import type { Refusal } from '../devices/refusal.ts';
import { refusalsOf } from '../devices/refusal.ts';
import { targetRefusals } from '../devices/targets/refusal.ts';
import { targetOfDevice } from '../devices/targets/registry.ts';
import { computesInFloat } from '../devices/targets/target.ts';
import { workOf } from '../devices/work.ts';
import type { NodeId } from '../ir/model.ts';
import type { Finding, Rule, RuleContext } from './rule.ts';
import { onLayers, onModel } from './support.ts';

export const unsupportedOperator: Rule = {
  id: 'unsupported-operator',
  severity: 'error',
  title: 'The runtime of the device does not have this operator',
  manual: `The device's runtime refuses the operator, or does not load this file format. An accelerator sends refused layers
back to the processor, which often costs more than everything else (a warning); a microcontroller fails to start (an error).
What a model would lose once it is converted to the format of the device is summed up in one finding.

**Example.** A Loop on a Hexagon NPU; an ONNX file for a runtime that loads TFLite.

**Remedy.** Replace the operator by supported ones, move it out of the model, or convert the file.`,
  check(context) {
    const { device, model, analysis } = context;
    if (device === undefined) return [];
    const refused = refusalsOf(device, model, workOf(model, analysis)).filter(
      ({ layer, reason }) => layer !== '' && !isPrecision(reason),
    );
    if (!device.formats.includes(model.dialect)) return toConvert(device, model.dialect, refused);
    const told = toldByTarget(context);
    const byReason = new Map<string, { readonly fallsBack: boolean; readonly layers: NodeId[] }>();
    for (const { layer, reason, fallsBack = false } of refused) {
      if (fallsBack && told.has(layer)) continue;
      const group = byReason.get(reason);
      if (group === undefined) byReason.set(reason, { fallsBack, layers: [layer] });
      else group.layers.push(layer);
    }
    return [...byReason].flatMap(([reason, { fallsBack, layers }]) =>
      onLayers(
        fallsBack ? fallback : unsupportedOperator,
        layers,
        (where) => `${device.name}: ${reason}${where}.`,
      ),
    );
  },
};

const fallback = { id: 'unsupported-operator', severity: 'warning' } as const;

const formatNames: Readonly<Record<string, string>> = { onnx: 'ONNX', tflite: 'TFLite' };

/** Operators have other names and other neighbours after a conversion: one finding says what to look at. */
function toConvert(
  { name, runtime, formats }: DeviceProfile,
  dialect: string,
  refused: readonly Refusal[],
): readonly Finding[] {
  const loads = formats.map((format) => formatNames[format] ?? format).join(' and ');
  const message = `${name}: ${runtime} loads ${loads} models, not ${formatNames[dialect]}; convert this one first.`;
  const ops = [...new Set(refused.map(({ op }) => op))].sort();
  const some = ops.length > 6 ? `${ops.slice(0, 6).join(', ')} and ${ops.length - 6} more` : ops.join(', ');
  const left = onLayers(
    { id: fallback.id, severity: 'information' },
    refused.map(({ layer }) => layer),
    (where) => `${name} does not take ${some}${where}, unless the conversion or simplify removes them.`,
  );
  return [...onModel(fallback, message), ...left];
}

/** Layers that the finding about the device's target names, with a better reason. */
function toldByTarget({ device, target, model, analysis }: RuleContext): ReadonlySet<NodeId> {
  const rules = target ?? (device === undefined ? undefined : targetOfDevice(device, model.dialect));
  if (rules === undefined || rules.dialect !== model.dialect) return new Set();
  const told = targetRefusals(model, analysis, rules).filter(({ reason }) => reason !== computesInFloat);
  return new Set(told.map(({ layer }) => layer));
}

/** Layers refused for their precision alone have rules of their own: float-on-integer-device, hybrid-on-microcontroller. */
export function isPrecision(reason: string): boolean {
  return reason.includes(' does not run ') || reason.endsWith('against float activations');
}
