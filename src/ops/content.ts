import type { Dim } from '../ir/types.ts';

/** Content of small tensors, row-major, moved around as shape arithmetic does. Shapes are static here. */
type Content = readonly Dim[];
type Sizes = readonly number[];

function product(sizes: Sizes): number {
  return sizes.reduce((total, size) => total * size, 1);
}

/** The elements whose coordinate on `axis` is in `picks`, in that order (Slice, Split, Gather with 1-D indices). */
export function takeAlong(content: Content, shape: Sizes, axis: number, picks: Sizes): Content {
  const outer = product(shape.slice(0, axis));
  const size = shape[axis] ?? 1;
  const inner = product(shape.slice(axis + 1));
  const taken: Dim[] = [];
  for (let block = 0; block < outer; block += 1) {
    for (const pick of picks) {
      const start = (block * size + pick) * inner;
      for (let index = 0; index < inner; index += 1) taken.push(content[start + index] ?? null);
    }
  }
  return taken;
}

/** Axis `i` of the result is axis `order[i]` of the operand. */
export function permute(content: Content, shape: Sizes, order: Sizes): Content {
  const strides = shape.map((_, axis) => product(shape.slice(axis + 1)));
  const sizes = order.map((axis) => shape[axis] ?? 1);
  const steps = order.map((axis) => strides[axis] ?? 1);
  return Array.from({ length: content.length }, (_, index) => {
    let rest = index;
    let at = 0;
    for (let axis = sizes.length - 1; axis >= 0; axis -= 1) {
      const size = sizes[axis] as number;
      at += (rest % size) * (steps[axis] as number);
      rest = Math.floor(rest / size);
    }
    return content[at] ?? null;
  });
}

/** Parts side by side along `axis`; each part has its own size there. */
export function concatenate(parts: readonly Content[], shapes: readonly Sizes[], axis: number): Content {
  const outer = product((shapes[0] ?? []).slice(0, axis));
  const runs = shapes.map((shape) => product(shape.slice(axis)));
  const joined: Dim[] = [];
  for (let block = 0; block < outer; block += 1) {
    parts.forEach((part, index) => {
      const run = runs[index] as number;
      for (let at = 0; at < run; at += 1) joined.push(part[block * run + at] ?? null);
    });
  }
  return joined;
}
