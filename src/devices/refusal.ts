import type { Model, NodeId } from '../ir/model.ts';
import type { DeviceProfile } from './profile.ts';
import type { LayerWork } from './work.ts';

/** Something in a model that a device's runtime does not accept. `layer` is '' when it is the model as a whole. */
export interface Refusal {
  readonly layer: NodeId;
  readonly op: string;
  readonly reason: string;
  /** True when the model cannot run there as it is; false when it needs another file format, or when it falls back. */
  readonly fatal: boolean;
  /** True when the layer runs on a processor beside the accelerator, at a speed that the profile does not know. */
  readonly fallsBack?: true;
}

/** Everything that keeps a model from running on a device as it is, as far as the profile knows. */
export function refusalsOf(
  device: DeviceProfile,
  model: Model,
  works: readonly LayerWork[],
): readonly Refusal[] {
  const refused: Refusal[] = [];
  if (!device.formats.includes(model.dialect)) {
    const reason = `${device.runtime} loads ${device.formats.join(' and ')}, not ${model.dialect}`;
    refused.push({ layer: '', op: 'model', reason, fatal: false });
  }
  for (const work of works) {
    const reason = work.class === 'free' ? undefined : refusalOf(device, work);
    const { id: layer, op } = work;
    if (reason !== undefined) refused.push({ layer, op, reason, fatal: true });
    else if (fallsBack(device, work))
      refused.push({ layer, op, reason: `${op} falls back to the processor`, fatal: false, fallsBack: true });
  }
  return refused;
}

function fallsBack({ supported }: DeviceProfile, { class: kind, op }: LayerWork): boolean {
  return supported !== undefined && kind !== 'free' && !supported.includes(op);
}

function refusalOf(device: DeviceProfile, work: LayerWork): string | undefined {
  const { unsupported, runtime } = device;
  if (unsupported.includes(work.op)) return `${runtime} has no ${work.op}`;
  if (unsupported.includes(`${work.op}:${work.precision}`))
    return `${runtime} has no ${work.op} in ${work.precision}`;
  if (work.hybrid && (device.class === 'mcu' || device.class === 'npu'))
    return `${runtime} has no ${work.op} of integer weights against float activations`;
  const computes = work.class !== 'other';
  if (computes && unsupported.includes(`*:${work.precision}`))
    return `${runtime} does not run ${work.precision}`;
  return undefined;
}
