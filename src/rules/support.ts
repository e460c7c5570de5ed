import { byteSize } from '../ir/dtype.ts';
import type { DType } from '../ir/dtype.ts';
import type { NodeId } from '../ir/model.ts';
import { graphsOf } from '../ir/walk.ts';
import { fp16 } from '../passes/fp16/fp16.ts';
import type { OptionValues, Pass } from '../passes/pass.ts';
import { quantizeDynamic } from '../passes/quantizeDynamic/quantizeDynamic.ts';
import { quantizeStatic } from '../passes/quantizeStatic/quantizeStatic.ts';
import type { Finding, Fix, Rule, RuleContext } from './rule.ts';

/** Bytes for people: "864 B", "1.73 kB", "12.4 MB". */
export function bytesText(bytes: number): string {
  if (bytes < 999.5) return `${Math.round(bytes)} B`;
  if (bytes < 999_500) return `${(bytes / 1e3).toPrecision(3)} kB`;
  if (bytes < 999_500_000) return `${(bytes / 1e6).toPrecision(3)} MB`;
  return `${(bytes / 1e9).toPrecision(3)} GB`;
}

/** The model file's bytes, or its weights' when the file is not known or its weights stand elsewhere. */
export function storedBytes(context: RuleContext): number {
  return Math.max(context.fileBytes ?? 0, context.analysis.totals.weightBytes);
}

/** "1 layer", "3 layers". */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
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
  const where = layers.length === 1 ? '' : ` on ${layers.length} nodes`;
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

/** Options of `quantize-static` that suit the device: Arm kernels want signed activations in ONNX models. */
export function quantizeOptions({ model, device }: Pick<RuleContext, 'model' | 'device'>): OptionValues {
  if (model.dialect !== 'onnx' || device === undefined) return {};
  return /cortex|arm|oryon|apple/i.test(device.cpu) ? { target: 'arm' } : {};
}

interface Cure {
  readonly pass: Pass;
  readonly options: OptionValues;
  readonly title: string;
  /** Share of the weights' bytes that goes. */
  readonly saves: number;
}

/**
 * The cures for weights that take too much room, best first, each with what it would save: only the layers that the pass
 * can work on count, and a pass that reaches none of them is not offered.
 */
export function shrinkingFixes(context: RuleContext, floatBytes: number, layers?: readonly NodeId[]): Fix[] {
  const { device, model } = context;
  const cures: Cure[] = [
    {
      pass: quantizeStatic,
      options: quantizeOptions(context),
      title: 'Quantize to int8 with calibration',
      saves: 0.75,
    },
    { pass: quantizeDynamic, options: {}, title: 'Quantize the weights to int8', saves: 0.75 },
    { pass: fp16, options: {}, title: 'Convert to float16', saves: 0.5 },
  ];
  const refused = (pass: Pass) =>
    !pass.dialects.includes(model.dialect) ||
    (device?.integerOnly === true && pass !== quantizeStatic) ||
    (device?.class === 'mcu' && pass === quantizeDynamic) ||
    (device?.unsupported.includes('*:float16') === true && pass === fp16);
  return cures
    .filter(({ pass }) => !refused(pass))
    .flatMap(({ pass, options, title, saves }) => {
      const bytes = Math.min(floatBytes, reachableBytes(context, pass, layers)) * saves;
      if (bytes < 1) return [];
      const only = layers === undefined ? {} : { layers };
      return [{ pass: pass.id, options, ...only, title: `${title}: about ${bytesText(bytes)} less` }];
    });
}

/** Weight bytes of the layers that a pass can work on. */
function reachableBytes({ analysis, model }: RuleContext, pass: Pass, layers?: readonly NodeId[]): number {
  const wanted = layers === undefined ? undefined : new Set(layers);
  const nodes = new Map(model.graphs.flatMap((graph) => graph.nodes.map((node) => [node.id, node])));
  let bytes = 0;
  for (const layer of analysis.layers) {
    const node = nodes.get(layer.id);
    if (node === undefined || layer.weightBytes === 0 || wanted?.has(layer.id) === false) continue;
    if (pass.appliesTo?.(node, model) === true) bytes += layer.weightBytes;
  }
  return bytes;
}
