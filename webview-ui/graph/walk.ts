import { type Csr, buildCsr } from './csr.ts';
import type { Scene } from './scene.ts';

export type Step = 'up' | 'down' | 'left' | 'right';

/** Walking along edges with the arrow keys. Going up returns to where one came from. */
export interface Walk {
  step(from: number, step: Step): number | undefined;
  readers(item: number): number;
  sources(item: number): number;
}

export function walkOf(scene: Scene): Walk {
  const down = buildCsr(scene.visible.count, scene.input.from, scene.input.to);
  const up = buildCsr(scene.visible.count, scene.input.to, scene.input.from);
  const { x, rank } = scene.layout;
  const cameFrom = new Map<number, number>();
  const wentTo = new Map<number, number>();
  const byRank = new Map<number, number[]>();
  for (let i = 0; i < scene.visible.count; i++) {
    const list = byRank.get(rank[i]!);
    if (list === undefined) byRank.set(rank[i]!, [i]);
    else list.push(i);
  }
  for (const list of byRank.values()) list.sort((a, b) => x[a]! - x[b]!);

  /** Where one was last, if an edge leads there, else the neighbour that lies most nearly straight ahead. */
  const along = (side: Csr, from: number, remembered: number | undefined) => {
    let best: number | undefined;
    for (let k = side.start[from]!; k < side.start[from + 1]!; k++) {
      const candidate = side.target[k]!;
      if (candidate === remembered) return candidate;
      if (best === undefined || Math.abs(x[candidate]! - x[from]!) < Math.abs(x[best]! - x[from]!))
        best = candidate;
    }
    return best;
  };

  return {
    step(from, step) {
      if (step === 'left' || step === 'right') {
        const row = byRank.get(rank[from]!)!;
        return row[row.indexOf(from) + (step === 'left' ? -1 : 1)];
      }
      const next =
        step === 'down' ? along(down, from, wentTo.get(from)) : along(up, from, cameFrom.get(from));
      if (next === undefined) return undefined;
      if (step === 'down') cameFrom.set(next, from);
      else wentTo.set(next, from);
      return next;
    },
    readers: (item) => down.start[item + 1]! - down.start[item]!,
    sources: (item) => up.start[item + 1]! - up.start[item]!,
  };
}
