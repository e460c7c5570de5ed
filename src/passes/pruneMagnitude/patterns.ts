import type { Tensor } from '../../ir/tensor.ts';
import { stridesOf } from '../support/constants.ts';
import type { DenseLayer } from '../support/denseLayer.ts';
import type { SparsePattern } from '../support/brainSurgeon.ts';
import { changedTensor } from '../support/pieces.ts';

export const patterns = ['unstructured', '2:4', '1:4', '4:8', 'block4'] as const;
export type PatternName = (typeof patterns)[number];

/** `keep` of every `of` neighbours along the input channels stay. */
export interface NOfM {
  readonly keep: number;
  readonly of: number;
}

export function nOfM(name: PatternName): NOfM | undefined {
  const found = /^(\d):(\d)$/.exec(name);
  return found === null ? undefined : { keep: Number(found[1]), of: Number(found[2]) };
}

/**
 * Which weights of one row may go. Neighbours along the input channels are meant by N:M and blocks; channels that do
 * not fill a group stay. `undefined` when a row has no such group.
 */
export function patternOf(
  { weight, inputs, kind, outputsFirst }: DenseLayer,
  name: PatternName,
  onnx: boolean,
) {
  const unitOf = Int32Array.from({ length: inputs }, (_, i) => i);
  if (name === 'unstructured') return { unitOf, units: inputs } satisfies SparsePattern;
  // A depthwise filter has one input channel.
  const channels =
    kind === 'linear' ? inputs : !outputsFirst ? 1 : ((onnx ? weight.dims[1] : weight.dims.at(-1)) ?? 1);
  const taps = inputs / channels;
  const of = nOfM(name)?.of ?? 4;
  const perTap = Math.floor(channels / of);
  if (perTap === 0) return undefined;
  const groupOf = new Int32Array(inputs).fill(-1);
  for (let i = 0; i < inputs; i += 1) {
    const channel = onnx && kind === 'conv' ? Math.floor(i / taps) : i % channels;
    const tap = onnx && kind === 'conv' ? i % taps : Math.floor(i / channels);
    const group = Math.floor(channel / of);
    if (group < perTap) groupOf[i] = tap * perTap + group;
  }
  if (name === 'block4') return { unitOf: groupOf, units: taps * perTap } satisfies SparsePattern;
  for (let i = 0; i < inputs; i += 1) if (groupOf[i] === -1) unitOf[i] = -1;
  const { keep } = nOfM(name) as NOfM;
  return { unitOf, units: inputs, groupOf, mostOfGroup: of - keep } satisfies SparsePattern;
}

/** Keeps the largest of every few neighbours along an axis; `undefined` when there are too few. What is zero counts. */
export function groupwise(tensor: Tensor, axis: number | undefined, { keep, of }: NOfM): Tensor | undefined {
  const size = axis === undefined ? 0 : (tensor.dims[axis] as number);
  if (axis === undefined || size < of) return undefined;
  const step = stridesOf(tensor.dims)[axis] as number;
  const block = step * size;
  const run = step * of;
  const whole = Math.floor(size / of) * run;
  const before = (element: number) => {
    const inside = element % block;
    return element - inside + Math.min(whole, inside - (inside % run));
  };
  const after = (element: number) => {
    const start = before(element);
    if (start === element) return element;
    return start % block === whole ? start - whole + block : start + run;
  };
  const change = (floats: Float32Array, first: number) => {
    for (let start = 0; start < floats.length; ) {
      const end = after(first + start + 1) - first;
      if ((first + start) % block !== whole)
        for (let lane = start; lane < start + step; lane += 1) pruneGroup(floats, lane, step, { keep, of });
      start = end;
    }
  };
  return changedTensor(tensor, change, { before, after });
}

function pruneGroup(floats: Float32Array, first: number, step: number, { keep, of }: NOfM): void {
  const end = first + of * step;
  let over = of - keep;
  for (let at = first; at < end; at += step) if (floats[at] === 0) over -= 1;
  for (; over > 0; over -= 1) {
    let least = -1;
    let size = Number.POSITIVE_INFINITY;
    for (let at = first; at < end; at += step) {
      const own = Math.abs(floats[at] as number);
      if (own === 0 || own >= size) continue;
      least = at;
      size = own;
    }
    if (least < 0) return;
    floats[least] = 0;
  }
}
