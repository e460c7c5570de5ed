import { byteSize } from '../ir/dtype.ts';
import type { DType } from '../ir/dtype.ts';
import type { NodeId } from '../ir/model.ts';
import { graphsOf } from '../ir/walk.ts';
import { targetOfDevice } from '../devices/targets/registry.ts';
import type { DeviceProfile } from '../devices/profile.ts';
import type { OptionValues } from '../passes/pass.ts';
import { passById } from '../passes/registry.ts';
import { predictBytes } from './gainBytes.ts';
import type { Finding, Fix, Rule, RuleContext } from './rule.ts';

/** Bytes for people: "864 B", "1.73 kB", "12.4 MB". */
export function bytesText(bytes: number): string {
  if (bytes < 999.5) return `${Math.round(bytes)} B`;
  if (bytes < 999_500) return `${(bytes / 1e3).toPrecision(3)} kB`;
  if (bytes < 999_500_000) return `${(bytes / 1e6).toPrecision(3)} MB`;
  return `${(bytes / 1e9).toPrecision(3)} GB`;
}

/** Times for people: "184 µs", "9.22 ms", "13.3 s". */
export function durationText(ms: number): string {
  if (ms < 0.9995) return `${(ms * 1000).toPrecision(3)} µs`;
  if (ms < 999.5) return `${ms.toPrecision(3)} ms`;
  return ms < 99_950 ? `${(ms / 1000).toPrecision(3)} s` : `${Math.round(ms / 1000)} s`;
}

/** The model file's bytes, or its weights' when the file is not known or its weights stand elsewhere. */
export function storedBytes(context: RuleContext): number {
  return Math.max(context.fileBytes ?? 0, context.analysis.totals.weightBytes);
}

/** "1 layer", "3 layers". */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** Folds these layers into their neighbours. */
export function foldFix(layers: readonly NodeId[], noun: string): Fix {
  const title = `Fold ${count(layers.length, noun)}: ${count(layers.length, 'layer')} less, same result`;
  return { pass: 'fuse', options: {}, title };
}

/** One finding for a thing that was seen on several layers; none when it was seen on none. */
export function onLayers(
  rule: Pick<Rule, 'id' | 'severity'>,
  layers: readonly NodeId[],
  message: (where: string) => string,
  fixes: readonly Fix[] = [],
): readonly Finding[] {
  const first = layers[0];
  if (first === undefined) return [];
  const where = layers.length === 1 ? '' : ` (${layers.length} layers)`;
  const finding = { rule: rule.id, severity: rule.severity, layer: first, message: message(where), fixes };
  return [layers.length === 1 ? finding : { ...finding, layers }];
}

/** A finding about the model as a whole. */
export function onModel(
  rule: Pick<Rule, 'id' | 'severity'>,
  message: string,
  fixes: readonly Fix[] = [],
): readonly Finding[] {
  return [{ rule: rule.id, severity: rule.severity, message, fixes }];
}

/** Bytes of all constants of one type, in every graph; shared ones count once. */
export function constantBytes(context: RuleContext, dtype: DType): number {
  const seen = new Set<object>();
  let total = 0;
  for (const graph of graphsOf(context.model)) {
    for (const { constant } of graph.values.values()) {
      if (constant === undefined || constant.dtype !== dtype || seen.has(constant)) continue;
      seen.add(constant);
      const count = constant.dims.reduce((product, dim) => product * dim, 1);
      total += byteSize(dtype, count) ?? 0;
    }
  }
  return total;
}

/** Options of `quantize-static` that suit the device: its own target, or else signed activations on Arm. */
export function quantizeOptions({ model, device }: Pick<RuleContext, 'model' | 'device'>): OptionValues {
  if (device === undefined) return {};
  const target = targetOfDevice(device, model.dialect);
  if (target !== undefined) return { target: target.id };
  if (model.dialect !== 'onnx') return {};
  return isArm(device) ? { target: 'arm' } : {};
}

export function isArm({ cpu }: Pick<DeviceProfile, 'cpu'>): boolean {
  return /cortex|arm|oryon|apple/i.test(cpu);
}

/** Ways to make weights smaller, best first. Those that a target cannot run are left out. */
const cures: readonly { readonly pass: string; readonly title: string }[] = [
  { pass: 'quantize-static', title: 'Quantize to int8 with calibration' },
  { pass: 'quantize-dynamic', title: 'Quantize the weights to int8' },
  { pass: 'fp16', title: 'Convert to float16' },
];

/** A cure that takes less than this share of the bytes in question is none. */
const worthwhile = 0.02;

/** The cures for weights that take too much room; what a pass hardly makes smaller is not offered it. */
export function shrinkingFixes(context: RuleContext, floatBytes: number, layers?: readonly NodeId[]): Fix[] {
  const { device, model } = context;
  const refused = (pass: string) =>
    passById(pass)?.dialects.includes(model.dialect) !== true ||
    (device?.integerOnly === true && pass !== 'quantize-static') ||
    (device?.class === 'mcu' && pass === 'quantize-dynamic') ||
    (device?.unsupported.includes('*:float16') === true && pass === 'fp16');
  return cures
    .filter(({ pass }) => !refused(pass))
    .flatMap(({ pass, title }) => {
      const options = pass === 'quantize-static' ? quantizeOptions(context) : {};
      const fix = { pass, options, title, ...(layers !== undefined && { layers }) };
      return (predictBytes(context, fix, []) ?? 0) < worthwhile * floatBytes ? [] : [fix];
    });
}
