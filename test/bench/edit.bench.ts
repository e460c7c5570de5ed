// An edit on a large model: as a person sees it, from the call to the new picture, in Chromium with the engine in a
// process of its own; then the same work step by step in one process, and what moves in the picture.
// Usage: npm run build && npm run bench -- edit [layers, default 10000]
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { forkEngine } from '../../src/engine/client.ts';
import { localEngine } from '../../src/engine/local.ts';
import type { GraphView } from '../../src/engine/view.ts';
import { writeModelFile } from '../../src/formats/io/models.ts';
import { buildFoldTree } from '../../webview-ui/graph/foldTree.ts';
import { nothingShown } from '../../webview-ui/graph/hiding.ts';
import { layoutGraph } from '../../webview-ui/graph/layout.ts';
import { hintOf } from '../../webview-ui/graph/hint.ts';
import { type Scene, buildScene, layoutInputOf } from '../../webview-ui/graph/scene.ts';
import { unfoldedAt, visibleGraph } from '../../webview-ui/graph/visible.ts';
import { openStage } from '../webview/support/browser.ts';
import { residualNetwork } from './support/residualNetwork.ts';

const wanted = Number(process.argv[2] ?? 10_000);

/** What the page does with a graph, everything unfolded. */
function sceneOf(view: GraphView, former: Scene | undefined): Scene {
  const tree = buildFoldTree(view);
  const visible = visibleGraph(view, tree, { unfolded: unfoldedAt(tree, tree.depth), show: nothingShown });
  const input = layoutInputOf(view, visible, former === undefined ? {} : hintOf(former, view, visible));
  return buildScene(view, tree, visible, input, layoutGraph(input));
}

/** Lines between the same two boxes before and after, and how many of them changed their vector. */
function movement(before: Scene, after: Scene): { lines: number; moved: number } {
  const place = (scene: Scene) => {
    const at = new Map<string, number>();
    scene.visible.itemOf.forEach((item, v) => at.set(scene.view.strings[scene.view.id[v]!]!, item));
    return at;
  };
  const there = place(before);
  const idOf = (i: number) => after.view.strings[after.view.id[after.visible.node[i]!]!]!;
  const joined = new Set(Array.from(before.input.from, (from, e) => `${from} ${before.input.to[e]}`));
  let lines = 0;
  let moved = 0;
  for (let e = 0; e < after.input.from.length; e++) {
    const [a, b] = [after.input.from[e]!, after.input.to[e]!];
    const [p, q] = [there.get(idOf(a)), there.get(idOf(b))];
    if (p === undefined || q === undefined || !joined.has(`${p} ${q}`)) continue;
    lines++;
    const dx = after.layout.x[b]! - after.layout.x[a]! - (before.layout.x[q]! - before.layout.x[p]!);
    const dy = after.layout.y[b]! - after.layout.y[a]! - (before.layout.y[q]! - before.layout.y[p]!);
    if (Math.hypot(dx, dy) > 1) moved++;
  }
  return { lines, moved };
}

/** From the call to the picture, on a page that shows the file; milliseconds by the page's own clock. */
async function inBrowser(file: string): Promise<void> {
  const stage = await openStage(forkEngine({ modulePath: path.resolve('dist/engine.cjs') }));
  try {
    // As it opens, folded to blocks, and with every layer a box of its own.
    for (const unfolded of [false, true]) {
      const copy = file.replace('.onnx', unfolded ? '-unfolded.onnx' : '-folded.onnx');
      fs.copyFileSync(file, copy);
      const page = await stage.open({ file: copy });
      page.setDefaultTimeout(120_000);
      if (unfolded) {
        const level = page.locator('vscode-dropdown[aria-label="Fold level"]');
        await level.click();
        await level.locator('vscode-option', { hasText: 'All' }).first().click();
        await page.waitForFunction(
          (n) => Number(document.querySelector('.graph-pane')?.getAttribute('data-boxes')) > 0.9 * n,
          wanted,
        );
      }
      // Whatever opening has started comes to its end.
      await page.waitForFunction(() => window.fakeHost.idle());
      const boxes = await page.locator('.graph-pane').getAttribute('data-boxes');
      const ms = await page.evaluate(async () => {
        const pictures = () => performance.getEntriesByName('kerf:picture');
        const [former, begin] = [pictures().length, performance.now()];
        await window.fakeHost.apply('simplify');
        const applied = performance.now();
        await new Promise<void>((done) => {
          const look = () => (pictures().length > former ? done() : setTimeout(look, 1));
          look();
        });
        const graph = performance.getEntriesByName('kerf:graph').at(-1)!.startTime;
        const picture = pictures().at(-1)!.startTime;
        return {
          pass: applied - begin,
          graph: graph - applied,
          picture: picture - graph,
          all: picture - begin,
        };
      });
      console.log(
        `in Chromium, ${boxes} boxes: pass ${ms.pass.toFixed(0)} ms, graph ${ms.graph.toFixed(0)} ms, layout and picture ${ms.picture.toFixed(0)} ms, together ${ms.all.toFixed(0)} ms`,
      );
      await page.close();
    }
  } finally {
    await stage.close();
  }
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-bench-'));
const file = path.join(folder, 'graph.onnx');
const engine = localEngine();
try {
  await writeModelFile(residualNetwork(wanted, { redundant: true }), file);
  await inBrowser(file);
  const { handle } = await engine.call('open', { path: file });
  let before = sceneOf(await engine.call('graph', { handle, marks: false }), undefined);
  // A second picture warms the layout up.
  before = sceneOf(before.view, before);
  const steps: Record<string, { clock: number; cpu: number }> = {};
  const timed = async <T>(name: string, work: () => Promise<T> | T): Promise<T> => {
    const begin = performance.now();
    const cpu = process.cpuUsage();
    const result = await work();
    const { user, system } = process.cpuUsage(cpu);
    steps[name] = { clock: performance.now() - begin, cpu: (user + system) / 1000 };
    return result;
  };
  const edited = await timed('pass', () => engine.call('apply', { handle, step: { pass: 'simplify' } }));
  const view = await timed('graph', () => engine.call('graph', { handle: edited.handle, marks: false }));
  const after = await timed('layout and scene', () => sceneOf(view, before));
  const sum = (of: 'clock' | 'cpu') => Object.values(steps).reduce((a, b) => a + b[of], 0);
  const total = sum('clock');
  console.log(`${before.visible.count} boxes, ${edited.report.changed.length} layers changed by the pass`);
  for (const [name, { clock, cpu }] of Object.entries({
    ...steps,
    together: { clock: total, cpu: sum('cpu') },
  }))
    console.log(`  ${name.padEnd(18)} ${clock.toFixed(0)} ms, ${cpu.toFixed(0)} ms of processor time`);
  // The same machine at the same moment: a copy of the file, opened from nothing.
  const copy = path.join(folder, 'copy.onnx');
  fs.copyFileSync(file, copy);
  const begin = performance.now();
  const opened = await engine.call('open', { path: copy });
  sceneOf(await engine.call('graph', { handle: opened.handle, marks: false }), undefined);
  const opening = performance.now() - begin;
  console.log(
    `  opening the same file, to the picture: ${opening.toFixed(0)} ms; an edit takes ${(total / opening).toFixed(2)} times that`,
  );
  const { lines, moved } = movement(before, after);
  console.log(
    `${lines} lines join the same boxes as before; ${moved} of them changed in length or direction`,
  );
} finally {
  engine.dispose();
  fs.rmSync(folder, { recursive: true, force: true });
}
