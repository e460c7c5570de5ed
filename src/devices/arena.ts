import type { Graph, Model, ValueId } from '../ir/model.ts';
import { isFloat } from '../ir/dtype.ts';
import { indexOf } from '../ir/walk.ts';
import type { Analysis, ArenaBlock } from '../analysis/report.ts';

/**
 * Peak activation memory on a device, bytes. For most models this is the planner's arena. In QDQ form an integer runtime
 * never holds the float tensors between DequantizeLinear and QuantizeLinear, so those count one byte per element.
 * `undefined` when some activation size is unknown.
 */
export function arenaBytesOf(model: Model, analysis: Analysis): number | undefined {
  if (analysis.memory === undefined) return undefined;
  const graph = model.graphs[0];
  if (!graph.nodes.some((node) => node.op === 'DequantizeLinear')) return analysis.memory.peakBytes;
  return foldedPeak(graph, analysis.memory.blocks, analysis);
}

interface Span {
  bytes: number;
  first: number;
  last: number;
}

/** Largest sum of live bytes when a quantized tensor and its float twin are one tensor of one-byte elements. */
function foldedPeak(graph: Graph, blocks: readonly ArenaBlock[], analysis: Analysis): number {
  const spans = new Map<ValueId, Span>();
  const types = analysis.types.get(graph);
  for (const block of blocks) {
    const twin = quantizedTwin(graph, block.value);
    const type = types?.get(block.value);
    const float = type?.kind === 'tensor' && isFloat(type.dtype);
    const width = type?.kind === 'tensor' && type.dtype === 'float16' ? 2 : 4;
    const bytes = twin !== block.value && float ? block.bytes / width : block.bytes;
    merge(spans, twin, bytes, block);
  }
  return peakOf([...spans.values()]);
}

function merge(spans: Map<ValueId, Span>, key: ValueId, bytes: number, block: ArenaBlock): void {
  const span = spans.get(key);
  if (span === undefined) {
    spans.set(key, { bytes, first: block.first, last: block.last });
    return;
  }
  span.bytes = Math.min(span.bytes, bytes);
  span.first = Math.min(span.first, block.first);
  span.last = Math.max(span.last, block.last);
}

/** Operators that integer kernels absorb between a convolution and the quantization of its result. */
const absorbed = new Set(['Relu', 'Clip']);

/**
 * The integer tensor that stands for a float one: what it was dequantized from, or what it becomes when it is quantized
 * at once. The graph's own inputs and outputs are what the application sees and stay as they are.
 */
function quantizedTwin(graph: Graph, value: ValueId): ValueId {
  const { producer, uses, isOutput } = indexOf(graph);
  if (isOutput.has(value) || graph.inputs.includes(value)) return value;
  const source = producer.get(value);
  if (source?.op === 'DequantizeLinear') return source.inputs[0] ?? value;
  const readers = uses.get(value) ?? [];
  const only = readers.length === 1 ? readers[0]?.node : undefined;
  const result = only?.outputs[0];
  if (only === undefined || result === null || result === undefined) return value;
  if (only.op === 'QuantizeLinear') return result;
  if (!absorbed.has(only.op)) return value;
  const twin = quantizedTwin(graph, result);
  return twin === result ? value : twin;
}

function peakOf(spans: readonly Span[]): number {
  const changes = new Map<number, number>();
  const change = (step: number, bytes: number) => changes.set(step, (changes.get(step) ?? 0) + bytes);
  for (const span of spans) {
    change(span.first, span.bytes);
    change(span.last + 1, -span.bytes);
  }
  let live = 0;
  let peak = 0;
  for (const step of [...changes.keys()].sort((a, b) => a - b)) {
    live += changes.get(step) ?? 0;
    peak = Math.max(peak, live);
  }
  return peak;
}
