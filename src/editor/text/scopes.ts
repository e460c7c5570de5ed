import type { LayerRow } from '../../engine/answers.ts';
import { layerLabel, type TextIndex } from './model.ts';

/** Name scopes in the text, for outline, folding and lenses. No `vscode` import. */

interface ScopeLayer {
  readonly kind: 'layer';
  readonly id: string;
  readonly line: number;
  readonly end: number;
  /** Bodies that follow the layer. */
  readonly children: readonly ScopeNode[];
}

/** Consecutive layers of one name scope, or a graph. */
interface ScopeGroup {
  readonly kind: 'scope' | 'graph';
  readonly name: string;
  readonly line: number;
  /** The last line, inclusive. */
  readonly end: number;
  readonly children: readonly ScopeNode[];
}

export type ScopeNode = ScopeLayer | ScopeGroup;

const trees = new WeakMap<TextIndex, readonly ScopeNode[]>();

/** The graphs of the text with their scopes and layers; made once per text. */
export function scopesOf(index: TextIndex, rows: ReadonlyMap<string, LayerRow>): readonly ScopeNode[] {
  let tree = trees.get(index);
  if (tree === undefined) {
    tree = build(index, rows);
    trees.set(index, tree);
  }
  return tree;
}

interface Open {
  readonly kind: 'scope' | 'graph';
  readonly name: string;
  readonly line: number;
  end: number;
  readonly children: ScopeNode[];
}

function build({ form }: TextIndex, rows: ReadonlyMap<string, LayerRow>): readonly ScopeNode[] {
  const roots: ScopeNode[] = [];
  let next = 0;
  let graph = 0;
  const readGraph = (): Open => {
    const printed = form.graphs[graph] as (typeof form.graphs)[number];
    graph += 1;
    const root: Open = {
      kind: 'graph',
      name: printed.name,
      line: printed.line,
      end: printed.end,
      children: [],
    };
    const stack: Open[] = [root];
    while (next < form.layers.length && (form.layerLines[next] as number) < printed.end) {
      const id = form.layers[next] as string;
      const line = form.layerLines[next] as number;
      next += 1;
      const limit = next < form.layers.length ? (form.layerLines[next] as number) : printed.end;
      const children = isBodyBefore(form.graphs[graph], Math.min(limit, printed.end))
        ? readBodies(Math.min(limit, printed.end))
        : noBodies;
      const end = children.at(-1)?.end ?? line;
      openScopes(stack, labelOf(id, rows), line);
      (stack.at(-1) as Open).children.push({ kind: 'layer', id, line, end, children });
      for (let depth = 1; depth < stack.length; depth += 1) (stack[depth] as Open).end = end;
    }
    collapse(root);
    return root;
  };
  const readBodies = (limit: number): readonly Open[] => {
    const bodies: Open[] = [];
    while (isBodyBefore(form.graphs[graph], limit)) bodies.push(readGraph());
    return bodies;
  };
  while (graph < form.graphs.length) roots.push(readGraph());
  return roots;
}

function isBodyBefore(
  printed: { readonly kind: string; readonly line: number } | undefined,
  line: number,
): boolean {
  return printed !== undefined && printed.kind === 'body' && printed.line < line;
}

const noBodies: readonly ScopeNode[] = [];

/** Closes the scopes that the layer is not in and opens those that it is in. */
function openScopes(stack: Open[], label: string, line: number): void {
  if (isInSame(stack, label)) return;
  const path = scopePath(label);
  let depth = 0;
  while (depth < path.length && stack[depth + 1]?.name === path[depth]) depth += 1;
  stack.length = depth + 1;
  for (const name of path.slice(depth)) {
    const opened: Open = { kind: 'scope', name, line, end: line, children: [] };
    (stack.at(-1) as Open).children.push(opened);
    stack.push(opened);
  }
}

/** Whether a layer is in the innermost open scope: neighbours mostly are, and their names need not be taken apart. */
function isInSame(stack: readonly Open[], label: string): boolean {
  let at = label.startsWith('/') ? 1 : 0;
  for (let depth = 1; depth < stack.length; depth += 1) {
    const { name } = stack[depth] as Open;
    if (!label.startsWith(name, at) || label[at + name.length] !== '/') return false;
    at += name.length + 1;
  }
  const rest = label.indexOf('/', at);
  const joined = label.indexOf(';');
  return joined === -1 && rest === -1;
}

/** A scope around a single thing says nothing that its content does not. */
function collapse(open: Open): void {
  for (let at = 0; at < open.children.length; at += 1) {
    const child = open.children[at] as ScopeNode;
    if (child.kind !== 'scope') continue;
    collapse(child as Open);
    if (child.children.length === 1) open.children[at] = child.children[0] as ScopeNode;
  }
}

function labelOf(id: string, rows: ReadonlyMap<string, LayerRow>): string {
  const row = rows.get(id);
  return row === undefined ? id : layerLabel(row);
}

/** `/stage/block/Conv` is in `stage`, `block`; TFLite joins the names of fused operators with semicolons. */
export function scopePath(label: string): readonly string[] {
  const joined = label.indexOf(';');
  const end = joined === -1 ? label.length : joined;
  const path: string[] = [];
  let start = 0;
  for (let slash = label.indexOf('/'); slash !== -1 && slash < end; slash = label.indexOf('/', start)) {
    if (slash > start) path.push(label.slice(start, slash));
    start = slash + 1;
  }
  if (start === end) path.pop();
  return path;
}

/** Ids of the layers in a scope, bodies included. */
export function layersIn(node: ScopeNode): readonly string[] {
  const ids: string[] = [];
  const visit = (at: ScopeNode): void => {
    if (at.kind === 'layer') ids.push(at.id);
    for (const child of at.children) visit(child);
  };
  visit(node);
  return ids;
}
