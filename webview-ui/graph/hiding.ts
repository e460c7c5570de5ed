import type { GraphView } from '../../src/engine/view.ts';
import { buildCsr } from './csr.ts';

/** What can be folded into the card of another layer; each kind can be shown on its own. */
export type HiddenKind = 'constants' | 'shapes' | 'pairs';

export const hiddenKinds: readonly HiddenKind[] = ['constants', 'shapes', 'pairs'];

/** Which kinds have cards of their own. */
export type Shown = Readonly<Record<HiddenKind, boolean>>;

export const nothingShown: Shown = { constants: false, shapes: false, pairs: false };
export const everythingShown: Shown = { constants: true, shapes: true, pairs: true };

/** Per layer: the layer whose card it hides in when its kind is not shown, -1 for none. Each layer has one kind. */
export type Hosts = Readonly<Record<HiddenKind, Int32Array>>;

/**
 * Hosts of every kind. Constants are given (see `constantHosts`). Shape arithmetic is what depends on data through
 * shapes only: it starts at Shape and hides in its first reader that is more than that. A pair is a quantization read by
 * nothing but dequantizations: both hide in the layer whose values they round. Linear.
 */
export function hostsOf(view: GraphView, constants: Int32Array): Hosts {
  const shapes = shapeHosts(view, constants);
  return { constants, shapes, pairs: pairHosts(view, constants, shapes) };
}

const shapeReaders: ReadonlySet<string> = new Set(['Shape', 'Size', 'SHAPE', 'RANK', 'SIZE']);

function shapeHosts(view: GraphView, constants: Int32Array): Int32Array {
  const { nodeCount, kind, edgeFrom, edgeTo } = view;
  const down = buildCsr(nodeCount, edgeFrom, edgeTo);
  const up = buildCsr(nodeCount, edgeTo, edgeFrom);
  // Operands that are still to be found to be shapes; constants do not count.
  const waiting = new Uint32Array(nodeCount);
  for (let e = 0; e < edgeFrom.length; e++) if (constants[edgeFrom[e]!]! < 0) waiting[edgeTo[e]!]!++;
  const isShape = new Uint8Array(nodeCount);
  const found: number[] = [];
  for (let v = 0; v < nodeCount; v++) {
    if (kind[v] === 0 && shapeReaders.has(view.strings[view.op[v]!]!)) found.push(v);
  }
  for (const v of found) isShape[v] = 1;
  for (let head = 0; head < found.length; head++) {
    const v = found[head]!;
    for (let k = down.start[v]!; k < down.start[v + 1]!; k++) {
      const w = down.target[k]!;
      if (isShape[w] === 1 || --waiting[w]! > 0 || kind[w] !== 0 || constants[w]! >= 0) continue;
      isShape[w] = 1;
      found.push(w);
    }
  }
  const host = new Int32Array(nodeCount).fill(-1);
  const stack: number[] = [];
  for (let v = 0; v < nodeCount; v++) {
    if (isShape[v] === 1 || kind[v] !== 0 || constants[v]! >= 0) continue;
    stack.push(v);
    while (stack.length > 0) {
      const at = stack.pop()!;
      for (let k = up.start[at]!; k < up.start[at + 1]!; k++) {
        const source = up.target[k]!;
        if (isShape[source] === 0 || host[source]! >= 0) continue;
        host[source] = v;
        stack.push(source);
      }
    }
  }
  return host;
}

const quantizes: ReadonlySet<string> = new Set(['QuantizeLinear', 'QUANTIZE']);
const dequantizes: ReadonlySet<string> = new Set(['DequantizeLinear', 'DEQUANTIZE']);

function pairHosts(view: GraphView, constants: Int32Array, shapes: Int32Array): Int32Array {
  const { nodeCount, edgeFrom, edgeTo } = view;
  const host = new Int32Array(nodeCount).fill(-1);
  const down = buildCsr(nodeCount, edgeFrom, edgeTo);
  const up = buildCsr(nodeCount, edgeTo, edgeFrom);
  const opOf = (v: number) => view.strings[view.op[v]!]!;
  for (let q = 0; q < nodeCount; q++) {
    if (view.kind[q] !== 0 || !quantizes.has(opOf(q)) || constants[q]! >= 0 || shapes[q]! >= 0) continue;
    const readers = down.target.subarray(down.start[q]!, down.start[q + 1]!);
    const data = up.target
      .subarray(up.start[q]!, up.start[q + 1]!)
      .find((source) => constants[source]! < 0 && shapes[source]! < 0);
    if (data === undefined || readers.length === 0) continue;
    if (!readers.every((reader) => view.kind[reader] === 0 && dequantizes.has(opOf(reader)))) continue;
    host[q] = data;
    for (const reader of readers) host[reader] = data;
  }
  return host;
}

/** The card each layer is in when these kinds are shown: its own index, or its host's, however many steps away. */
export function cardsOf(hosts: Hosts, shown: Shown): Uint32Array {
  const count = hosts.constants.length;
  const card = Uint32Array.from({ length: count }, (_, v) => v);
  const next = (v: number): number => {
    for (const kind of hiddenKinds) if (!shown[kind] && hosts[kind][v]! >= 0) return hosts[kind][v]!;
    return v;
  };
  for (let v = 0; v < count; v++) {
    let at = v;
    // Hosts of hosts; a damaged graph may go in circles.
    for (let steps = 0; steps < 64 && next(at) !== at; steps++) at = next(at);
    card[v] = at;
  }
  return card;
}

/** How many layers each kind folds away. */
export function countHidden(hosts: Hosts): Readonly<Record<HiddenKind, number>> {
  const count = (host: Int32Array) => host.reduce((total, at) => total + Number(at >= 0), 0);
  return { constants: count(hosts.constants), shapes: count(hosts.shapes), pairs: count(hosts.pairs) };
}
