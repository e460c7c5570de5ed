/** Boxes sorted into square cells, so that drawing and pointing look at what is near only. */
export interface Grid {
  /** Calls `visit` once for each box whose cells meet the rectangle, in index order within a cell. */
  query(left: number, top: number, right: number, bottom: number, visit: (index: number) => void): void;
}

/** `boxes` holds left, top, right, bottom of each box. */
export function buildGrid(boxes: Float32Array, cell: number): Grid {
  const count = boxes.length / 4;
  let right = 0;
  let bottom = 0;
  for (let i = 0; i < count; i++) {
    right = Math.max(right, boxes[4 * i + 2]!);
    bottom = Math.max(bottom, boxes[4 * i + 3]!);
  }
  const columns = Math.floor(right / cell) + 1;
  const rows = Math.floor(bottom / cell) + 1;
  const column = (x: number) => Math.min(columns - 1, Math.max(0, Math.floor(x / cell)));
  const row = (y: number) => Math.min(rows - 1, Math.max(0, Math.floor(y / cell)));
  const start = new Uint32Array(columns * rows + 1);
  const each = (i: number, visit: (cellIndex: number) => void) => {
    const c1 = column(boxes[4 * i + 2]!);
    const r1 = row(boxes[4 * i + 3]!);
    for (let r = row(boxes[4 * i + 1]!); r <= r1; r++) {
      for (let c = column(boxes[4 * i]!); c <= c1; c++) visit(r * columns + c);
    }
  };
  for (let i = 0; i < count; i++) each(i, (k) => void start[k + 1]!++);
  for (let k = 0; k + 1 < start.length; k++) start[k + 1]! += start[k]!;
  const cursor = start.slice();
  const entries = new Uint32Array(start[start.length - 1]!);
  for (let i = 0; i < count; i++) each(i, (k) => void (entries[cursor[k]!++] = i));
  const seen = new Uint32Array(count);
  let stamp = 0;
  return {
    query(x0, y0, x1, y1, visit) {
      stamp++;
      for (let r = row(y0); r <= row(y1); r++) {
        const first = start[r * columns + column(x0)]!;
        const last = start[r * columns + column(x1) + 1]!;
        for (let k = first; k < last; k++) {
          const i = entries[k]!;
          if (seen[i] === stamp) continue;
          seen[i] = stamp;
          visit(i);
        }
      }
    },
  };
}
