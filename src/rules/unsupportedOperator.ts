import { refusalsOf } from '../devices/refusal.ts';
import { workOf } from '../devices/work.ts';
import type { NodeId } from '../ir/model.ts';
import type { Rule } from './rule.ts';
import { onLayers, onModel } from './support.ts';

export const unsupportedOperator: Rule = {
  id: 'unsupported-operator',
  severity: 'error',
  title: 'The runtime of the device does not have this operator',
  manual: `The device's runtime refuses the operator, or does not load this file format. An accelerator sends refused layers
back to the processor, which often costs more than everything else; a microcontroller fails to start.

**Example.** A Loop on a Hexagon NPU; an ONNX file for a runtime that loads TFLite.

**Remedy.** Replace the operator by supported ones, move it out of the model, or convert the file.`,
  check(context) {
    const { device, model, analysis } = context;
    if (device === undefined) return [];
    const byReason = new Map<string, NodeId[]>();
    for (const { layer, reason } of refusalsOf(device, model, workOf(model, analysis))) {
      if (layer === '') byReason.set(reason, []);
      else if (!isPrecision(reason)) byReason.set(reason, [...(byReason.get(reason) ?? []), layer]);
    }
    return [...byReason].flatMap(([reason, layers]) =>
      layers.length === 0
        ? onModel({ id: unsupportedOperator.id, severity: 'warning' }, `${device.name}: ${reason}.`)
        : onLayers(unsupportedOperator, layers, (where) => `${device.name}: ${reason}${where}.`),
    );
  },
};

/** Layers refused for their precision alone have rules of their own: float-on-integer-device, hybrid-on-microcontroller. */
export function isPrecision(reason: string): boolean {
  return reason.includes(' does not run ') || reason.endsWith('against float activations');
}
