import type { App } from './app.ts';
import type { Comparison } from './compare/comparison.ts';
import { compareWithFile } from './compare/open.ts';
import type { PageSensitivity } from '../src/editor/page/protocol.ts';
import { bytes, fileName, macs, plural, time } from './format.ts';
import { type LayerValues, type OverlayId, overlayOf } from './graph/overlay.ts';
import { matchValues, readOverlayFile } from './graph/overlayFiles.ts';

/** Values that do not come with the graph: who makes them, and when they are no longer true. */
export function keepOverlays(app: App, measure: () => void): void {
  const set = (id: OverlayId, values: LayerValues | undefined) => {
    // Nothing to take away is no change: the table and the picture would be made again for it.
    if (values === undefined && !app.extra.get().has(id)) return;
    const next = new Map(app.extra.get());
    if (values === undefined) next.delete(id);
    else next.set(id, values);
    app.extra.set(next);
  };
  const known = (id: OverlayId, values: ReadonlyMap<string, number>, note: string): LayerValues => ({
    ...overlayOf(id, new Map()),
    values,
    note,
  });
  const showSensitivity = ({ scheme, data, layers }: PageSensitivity) => {
    const values = new Map(layers.map(({ id, sqnrDb }) => [id, sqnrDb === null ? 0 : 10 ** (-sqnrDb / 10)]));
    set('sensitivity', known('sensitivity', values, `${scheme} one layer at a time, ${fileName(data)}`));
  };
  const recall = async () => {
    const asked = app.document.get()?.model;
    try {
      const found = await app.host.call('measured', {});
      if (found !== null && app.document.get()?.model === asked) showSensitivity(found);
    } catch (error) {
      // A newer revision is asked again.
      if ((error as { reason?: string }).reason !== 'cancelled')
        app.say((error as Error).message, { error: true });
    }
  };
  app.make.set({
    benchmark: measure,
    comparison: () => void compareWithFile(app),
    async sparsity() {
      const found = await app.run('Read the weights', 'sparsity', {});
      if (found === undefined) return;
      const values = new Map(found.layers.map((id, i) => [id, found.share[i]!]));
      set('sparsity', known('sparsity', values, 'zeros among the weights'));
    },
    async sensitivity(scheme) {
      const found = await app.run('Sensitivity', 'sensitivity', { scheme });
      if (found !== undefined) showSensitivity(found);
    },
    recall,
  });
  app.measured.onChange((values) =>
    set('measured', values === undefined ? undefined : known('measured', values, '')),
  );
  let model: string | undefined;
  app.document.onChange((state) => {
    if (state?.model === model) return;
    set('sparsity', undefined);
    set('sensitivity', undefined);
    model = state?.model;
    void recall();
  });
  const showDifference = () => {
    const comparison = app.comparison.get();
    set('difference', comparison === undefined ? undefined : differenceOf(app, comparison));
  };
  app.comparison.onChange(showDifference);
  app.graph.watch(showDifference);
}

/** How much each layer's cost moved: time on the device where it is known, else work, else weights. */
function differenceOf(app: App, { other, toOther, title }: Comparison): LayerValues | undefined {
  const graph = app.graph.get().value;
  if (graph === undefined) return undefined;
  const { view } = graph;
  const [column, name, format] = view.estimateMs.some((ms) => ms > 0)
    ? (['estimateMs', 'estimated time', time] as const)
    : view.macs.some((n) => n > 0)
      ? (['macs', 'MACs', macs] as const)
      : (['weightBytes', 'weight bytes', bytes] as const);
  const values = new Map<string, number>();
  for (const [id, v] of graph.indexOf) {
    const counterpart = toOther(id);
    const w = counterpart === undefined ? undefined : other.indexOf.get(counterpart);
    const before = w === undefined ? 0 : other.view[column][w]!;
    values.set(id, Math.abs(view[column][v]! - before));
  }
  return { ...overlayOf('difference', new Map()), format, values, note: `${name}, against ${title}` };
}

/** Takes the numbers of a file and shows the first of them. */
export function addOverlayFile(app: App, name: string, text: string): void {
  const view = app.graph.get().value?.view;
  if (view === undefined) return;
  try {
    const found = readOverlayFile(text, name).map((each) => matchValues(view, each, name));
    const useful = found.filter(({ overlay }) => overlay.values.size > 0);
    if (useful.length === 0) {
      app.say(`${name}: none of its names is a layer of this model.`, { error: true });
      return;
    }
    const next = new Map(app.extra.get());
    for (const { overlay } of useful) next.set(overlay.id, overlay);
    app.extra.set(next);
    app.overlay.set(useful[0]!.overlay.id);
    const { overlay, missed } = useful[0]!;
    const rest = missed === 0 ? '' : `, ${plural(missed, 'name')} without a layer`;
    app.say(`${overlay.title}: values of ${plural(overlay.values.size, 'layer')}${rest}.`);
  } catch (error) {
    app.say((error as Error).message, { error: true });
  }
}

export function removeOverlayFiles(app: App): void {
  app.extra.set(new Map([...app.extra.get()].filter(([id]) => !id.startsWith('file:'))));
  if (app.overlay.get().startsWith('file:')) app.overlay.set('none');
}

/** Asks the host for a file. */
export async function pickOverlayFile(app: App): Promise<void> {
  try {
    const file = await app.host.call('pickOverlay', {});
    if (file !== null) addOverlayFile(app, file.name, file.text);
  } catch (error) {
    app.say((error as Error).message, { error: true });
  }
}

/** Files dropped on the graph. */
export function acceptDrops(app: App, element: HTMLElement): void {
  element.addEventListener('dragover', (event) => {
    if (event.dataTransfer?.types.includes('Files') !== true) return;
    event.preventDefault();
    element.classList.add('drop');
  });
  element.addEventListener('dragleave', () => element.classList.remove('drop'));
  element.addEventListener('drop', (event) => {
    element.classList.remove('drop');
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    for (const file of files) void file.text().then((text) => addOverlayFile(app, file.name, text));
  });
}
