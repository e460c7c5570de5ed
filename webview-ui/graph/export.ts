import type { App } from '../app.ts';
import { bytes } from '../format.ts';
import type { GraphPane } from './graphPane.ts';
import { paintPicture } from './picture.ts';
import { svgContext } from './svgContext.ts';

/** Canvases beyond this many pixels are refused by browsers or fill the memory. */
const mostPixels = 120e6;
const longestSide = 16_000;
const margin = 24;

/** The whole graph as it is folded, at life size; a picture too large for a canvas is made smaller. */
export async function exportPicture(app: App, graph: GraphPane, kind: 'png' | 'svg'): Promise<void> {
  const shown = graph.stage.shown();
  if (shown === undefined) return;
  const { width, height } = graph.stage.world();
  const size = { width: width + 2 * margin, height: height + 2 * margin };
  const name = `${(app.document.get()?.file ?? 'graph').replace(/\.\w+$/, '')}.${kind}`;
  if (kind === 'svg') {
    const context = svgContext(size);
    paintPicture(shown, context, size, { x: -margin, y: -margin, zoom: 1 });
    return save(app, name, new TextEncoder().encode(context.finish()), '');
  }
  const fits = Math.min(
    1,
    longestSide / size.width,
    longestSide / size.height,
    Math.sqrt(mostPixels / (size.width * size.height)),
  );
  const ratio = Math.min(
    2,
    fits < 1 ? fits : Math.min(2, longestSide / size.height, longestSide / size.width),
  );
  const canvas = new OffscreenCanvas(Math.round(size.width * ratio), Math.round(size.height * ratio));
  const context = canvas.getContext('2d');
  if (context === null) return;
  paintPicture(
    shown,
    context as unknown as CanvasRenderingContext2D,
    size,
    { x: -margin, y: -margin, zoom: 1 },
    ratio,
  );
  const blob = await canvas.convertToBlob({ type: 'image/png' });
  const note = ratio < 1 ? `, at ${Math.round(ratio * 100)} % of life size` : '';
  await save(app, name, new Uint8Array(await blob.arrayBuffer()), note);
}

async function save(app: App, name: string, content: Uint8Array, note: string): Promise<void> {
  try {
    // No job: there is nothing to wait for but the person who says where.
    const written = await app.host.call('saveFile', { name, content });
    if (written !== null) app.say(`Wrote ${written.file}, ${bytes(content.length)}${note}.`);
  } catch (error) {
    app.say(`Export: ${(error as Error).message}`, { error: true });
  }
}

/** The graph JSON that Model Explorer opens, with the costs as attributes. */
export async function exportExplorer(app: App): Promise<void> {
  const stem = (app.document.get()?.file ?? 'graph').replace(/\.\w+$/, '');
  const written = await app.run('Export', 'exportAs', {
    to: 'model-explorer',
    name: `${stem}.explorer.json`,
  });
  if (written !== undefined && written !== null) app.say(`Wrote ${written.file}, ${bytes(written.bytes)}.`);
}
