/** An order of axes as Transpose has it: axis `i` of the result is axis `order[i]` of the input. */
export type Order = readonly number[];

/** Whether each axis occurs once; what a damaged file says may be anything. */
export function isOrder(order: Order): boolean {
  return order.every((_, axis) => order.includes(axis));
}

export function isIdentity(order: Order): boolean {
  return order.every((axis, i) => axis === i);
}

export function inverse(order: Order): Order {
  return order.map((_, axis) => order.indexOf(axis));
}

/** First `a`, then `b`. */
export function compose(a: Order, b: Order): Order {
  return b.map((axis) => a[axis] as number);
}

export function sameOrder(a: Order, b: Order): boolean {
  return a.length === b.length && a.every((axis, i) => axis === b[i]);
}

/** One entry per axis, in the new order. */
export function ordered<T>(items: readonly T[], order: Order): T[] {
  return order.map((axis) => items[axis] as T);
}

/** True when only axes of size 1 change place: the bytes stay as they are. `null` is a size that nobody knows. */
export function movesNothing(dims: readonly (number | string | null)[], order: Order): boolean {
  const kept = order.filter((axis) => dims[axis] !== 1);
  return kept.every((axis, i) => i === 0 || axis > (kept[i - 1] as number));
}
