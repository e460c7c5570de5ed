/** A line of a table: a row, or the head of a group of rows. */
export type Line<Row> =
  | { readonly kind: 'row'; readonly row: Row }
  | { readonly kind: 'group'; readonly key: string; readonly rows: readonly Row[]; readonly folded: boolean };

/** Lines of sorted rows under their groups; groups come in the order of their first row. */
export function linesOf<Row>(
  rows: readonly Row[],
  groupOf: ((row: Row) => string) | undefined,
  folded: ReadonlySet<string>,
): readonly Line<Row>[] {
  if (groupOf === undefined) return rows.map((row) => ({ kind: 'row', row }));
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const key = groupOf(row);
    const list = groups.get(key);
    if (list === undefined) groups.set(key, [row]);
    else list.push(row);
  }
  return [...groups].flatMap(([key, members]): readonly Line<Row>[] => {
    const head = { kind: 'group', key, rows: members, folded: folded.has(key) } as const;
    return head.folded ? [head] : [head, ...members.map((row) => ({ kind: 'row', row }) as const)];
  });
}

/** Rows that are picked, by click, Ctrl and Shift as in a list of VS Code. */
export interface Picking<Row> {
  readonly picked: ReadonlySet<Row>;
  /** The row that Shift counts from. */
  readonly anchor: Row | undefined;
}

export function pick<Row>(
  { picked, anchor }: Picking<Row>,
  row: Row,
  how: { readonly toggle: boolean; readonly extend: boolean },
  order: readonly Row[],
): Picking<Row> {
  if (how.extend && anchor !== undefined) {
    const [a, b] = [order.indexOf(anchor), order.indexOf(row)];
    if (a >= 0 && b >= 0) {
      const range = order.slice(Math.min(a, b), Math.max(a, b) + 1);
      return { picked: new Set(how.toggle ? [...picked, ...range] : range), anchor };
    }
  }
  if (!how.toggle) return { picked: new Set([row]), anchor: row };
  const next = new Set(picked);
  if (!next.delete(row)) next.add(row);
  return { picked: next, anchor: row };
}
