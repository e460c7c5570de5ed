// From the page being ready to the first picture of a folded model, by the page's own clock: in Chromium without a GPU,
// with the engine in a process of its own. Two cases: the page is there before the engine has looked at the model, and
// the graph was asked for when the model was opened, as in VS Code, where the page takes longer to load than the engine
// to answer. Usage: npm run build && npm run bench -- firstPicture [layers, default 10000]
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { forkEngine } from '../../src/engine/client.ts';
import { writeModelFile } from '../../src/formats/io/models.ts';
import { openStage } from '../webview/support/browser.ts';
import { network } from './support/network.ts';

const layers = Number(process.argv[2] ?? 10_000);
const pages = 5;

interface Times {
  /** From the page's first call to the columns of the graph, and from there to the picture. */
  readonly graph: number;
  readonly picture: number;
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-bench-'));
const file = path.join(folder, 'network.onnx');
await writeModelFile(network(layers), file);
const engine = forkEngine({ modulePath: path.resolve('dist/engine.cjs') });
const stage = await openStage(engine);

async function firstPicture(shown: string): Promise<Times> {
  const page = await stage.open({ file: shown });
  await page.waitForFunction(() => performance.getEntriesByName('kerf:picture').length > 0);
  const times = await page.evaluate(() => {
    const at = (name: string) => performance.getEntriesByName(name)[0]!.startTime;
    return {
      graph: at('kerf:graph') - at('kerf:ready'),
      picture: at('kerf:picture') - at('kerf:graph'),
      boxes: document.querySelector('.graph-pane')?.getAttribute('data-boxes'),
    };
  });
  await page.close();
  return times;
}

function show(title: string, times: readonly Times[]): void {
  const all = times.map(({ graph, picture }) => graph + picture).sort((a, b) => a - b);
  const least = times.reduce((a, b) => (a.graph + a.picture < b.graph + b.picture ? a : b));
  console.log(
    `  ${title.padEnd(48)} best ${all[0]!.toFixed(0)} ms (${least.graph.toFixed(0)} to the graph, ${least.picture.toFixed(0)} to the picture), median ${all[all.length >> 1]!.toFixed(0)} ms of ${all.length} pages`,
  );
}

try {
  console.log(`${layers} layers, from the page being ready to the first picture`);
  const cold: Times[] = [];
  const warm: Times[] = [];
  for (let i = 0; i < pages; i++) {
    // Another file each time: nothing of it is known to the engine.
    const copy = path.join(folder, `copy${i}.onnx`);
    fs.copyFileSync(file, copy);
    cold.push(await firstPicture(copy));
    // Another one, whose graph is asked for as soon as it is open, while the page loads.
    const other = path.join(folder, `other${i}.onnx`);
    fs.copyFileSync(file, other);
    await stage.begin(other);
    warm.push(await firstPicture(other));
  }
  show('nothing read yet (the first also starts the engine)', cold);
  show('asked for when the model was opened', warm);
} finally {
  await stage.close();
  fs.rmSync(folder, { recursive: true, force: true });
}
