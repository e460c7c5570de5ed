import type { Analysis } from '../analysis/report.ts';
import type { DeviceProfile } from '../devices/profile.ts';
import { targetRefusals } from '../devices/targets/refusal.ts';
import { targetOfDevice } from '../devices/targets/registry.ts';
import { computesInFloat } from '../devices/targets/target.ts';
import type { Model, NodeId } from '../ir/model.ts';
import { refusalsOf } from '../devices/refusal.ts';
import { workOf } from '../devices/work.ts';
import type { LayerWork } from '../devices/work.ts';
import type { Rule, RuleContext } from './rule.ts';
import { count } from './support.ts';
import { isPrecision } from './unsupportedOperator.ts';

export const delegateCut: Rule = {
  id: 'delegate-cut',
  severity: 'warning',
  title: 'The accelerator gets the model in pieces',
  manual: `Some operators stay on the processor, so the model is cut there: tensors travel between processor and accelerator at every
cut. The Edge TPU compiler maps a single piece, from the first operator to the first that it does not take; everything behind
runs on the processor. NNAPI, QNN and Core ML map several pieces, each with its own overhead.

**Example.** A Resize in the middle of a network for the Edge TPU: the second half runs on the processor.

**Remedy.** Replace the operator at the cut by supported ones, or move it to the end of the model.`,
  check(context) {
    const { device } = context;
    // A file that has to be converted first is cut elsewhere, if at all.
    if (device?.supported === undefined || !device.formats.includes(context.model.dialect)) return [];
    const { pieces, cut, works } = piecesOf(context);
    if (cut === undefined || pieces.length === 0) return [];
    const onePiece = /edge tpu/i.test(device.runtime);
    const mapped = onePiece ? (pieces[0] ?? []) : pieces.flat();
    if (pieces.length === 1 && !onePiece) return [];
    const all = works.reduce((sum, { macs }) => sum + (macs ?? 0), 0);
    const share = all === 0 ? undefined : mapped.reduce((sum, { macs }) => sum + (macs ?? 0), 0) / all;
    if (share !== undefined && share > 0.999 && onePiece) return [];
    const work = share === undefined ? '' : `, ${(100 * share).toFixed(0)} % of the work`;
    const message = onePiece
      ? `${device.name} gets the first ${count(mapped.length, 'layer')}${work}; everything from here on runs on the processor.`
      : `${device.name} gets the model in ${pieces.length} pieces (${count(mapped.length, 'layer')}${work}); this is the first cut.`;
    return [{ rule: delegateCut.id, severity: delegateCut.severity, layer: cut, message, fixes: [] }];
  },
};

interface Pieces {
  /** Runs of layers that the accelerator takes, in execution order. */
  readonly pieces: readonly (readonly LayerWork[])[];
  /** The first layer that it does not take. */
  readonly cut: NodeId | undefined;
  readonly works: readonly LayerWork[];
}

/** Layers that the rules of the device's own target send back to the processor. */
function leftByTarget(
  device: DeviceProfile | undefined,
  model: Model,
  analysis: Analysis,
): readonly NodeId[] {
  const rules = device === undefined ? undefined : targetOfDevice(device, model.dialect);
  if (rules === undefined) return [];
  return targetRefusals(model, analysis, rules)
    .filter(({ kind, reason }) => kind === 'processor' && reason !== computesInFloat)
    .map(({ layer }) => layer);
}

function piecesOf({ device, model, analysis }: RuleContext): Pieces {
  const works = workOf(model, analysis).filter((work) => work.class !== 'free');
  // What is refused for its type alone goes in once the model is quantized; other rules speak of that.
  const refused = device === undefined ? [] : refusalsOf(device, model, works);
  const left = new Set([
    ...refused.filter(({ reason }) => !isPrecision(reason)).map(({ layer }) => layer),
    ...leftByTarget(device, model, analysis),
  ]);
  const pieces: LayerWork[][] = [];
  let cut: NodeId | undefined;
  let open: LayerWork[] | undefined;
  for (const work of works) {
    if (left.has(work.id)) {
      cut ??= work.id;
      open = undefined;
      continue;
    }
    if (open === undefined) pieces.push((open = []));
    open.push(work);
  }
  return { pieces, cut, works };
}
