import type { NodeDetails, ValueDetails } from '../../../src/engine/answers.ts';
import { type App } from '../../app.ts';
import { layerOf } from '../../loadedGraph.ts';
import { h } from '../../dom.ts';
import { bytes } from '../../format.ts';
import type { GraphPane } from '../../graph/graphPane.ts';
import { button, select } from '../../ui/controls.ts';
import { empty, link } from '../parts.ts';
import { statistics } from '../tensorStats.ts';
import { createHeatMap } from './heatMap.ts';
import { createValues } from './values.ts';

/** The constants of the selected layer: statistics, a picture by channels, values in pages, and the way to a file. */
export function createWeightsTab(app: App, graph: GraphPane): HTMLElement {
  const nothing = h('div', { class: 'result' });
  const facts = h('div', {
    class: 'scroll',
    attributes: { tabindex: 0, role: 'region', 'aria-label': 'Statistics' },
  });
  const values = createValues(app);
  const heat = createHeatMap((channel) => values.goTo(channel * stride));
  const picture = h('div', { class: 'scroll' }, heat.element);
  const room = h('div', { class: 'weights-room' }, facts, picture, values.element);
  let node: NodeDetails | undefined;
  let chosen: ValueDetails | undefined;
  let axis = 0;
  let stride = 1;
  let call = 0;

  const constants = () => (node?.inputs ?? []).filter((input) => input.constant);
  const which = select({
    label: 'Constant of the layer',
    onChange(value) {
      chosen = constants().find((each) => each.value === value);
      axis = 0;
      void show();
    },
  });
  const along = select({
    label: 'Axis of the channels',
    onChange(value) {
      axis = Number(value);
      void drawChannels();
    },
  });
  const save = button({
    text: 'Export .npy…',
    icon: 'save',
    onClick: () => void exportTo(app, node, chosen),
  });
  const title = h('span', { class: 'muted weights-title' });
  const toolbar = h(
    'div',
    { class: 'toolbar' },
    which.element,
    along.element,
    title,
    h('span', { class: 'strip-gap' }),
    save.element,
  );

  const at = () => ({ value: chosen!.value, graph: node!.graph });
  const drawChannels = async () => {
    if (chosen === undefined) return;
    const mine = call;
    const map = await app.host.call('channels', { ...at(), axis });
    if (mine !== call) return;
    stride = map.dims.slice(map.axis + 1).reduce((product, dim) => product * dim, 1);
    along.set(
      map.dims.map((dim, i) => ({ value: String(i), text: `Axis ${i} (${dim})` })),
      String(map.axis),
    );
    heat.show(map);
    return map;
  };
  const show = async () => {
    const mine = ++call;
    const list = constants();
    nothing.hidden = list.length > 0;
    toolbar.hidden = room.hidden = list.length === 0;
    if (chosen === undefined || node === undefined)
      return nothing.replaceChildren(nothingToShow(app, graph, node));
    which.set(
      list.map(({ value, role, name }) => ({ value, text: `${role}: ${name}` })),
      chosen.value,
    );
    title.textContent = `${chosen.type}${chosen.bytes === null ? '' : `, ${bytes(chosen.bytes)}`}`;
    try {
      const found = await app.host.call('tensor', at());
      if (mine !== call) return;
      facts.replaceChildren(statistics(found));
      const map = await drawChannels();
      if (mine !== call || map === undefined) return;
      picture.hidden = values.element.hidden = false;
      values.show({ ...at(), name: chosen.name }, map.dims);
    } catch (error) {
      if (mine !== call) return;
      picture.hidden = values.element.hidden = true;
      facts.replaceChildren(h('p', { class: 'problem', text: (error as Error).message }));
    }
  };
  const follow = async () => {
    const selection = app.selection.get();
    const index = selection?.kind === 'layer' ? app.graph.get().value?.indexOf.get(selection.id) : undefined;
    const isLayer = index !== undefined && app.graph.get().value?.view.kind[index] === 0;
    const mine = ++call;
    const former = chosen?.role;
    node = undefined;
    chosen = undefined;
    if (app.tab.get() !== 'weights') return;
    if (selection?.kind === 'layer' && isLayer) {
      const found = await app.host
        .call('node', { id: layerOf(app.graph.get(), selection.id) })
        .catch(() => undefined);
      if (mine !== call) return;
      node = found;
      const list = constants();
      // The weight rather than the bias; what was looked at before rather than either.
      chosen =
        list.find(({ role }) => role === former) ?? list.find(({ role }) => role === 'weight') ?? list[0];
    }
    await show();
  };
  app.selection.onChange(() => void follow());
  app.graph.watch(({ loading }) => !loading && void follow());
  app.tab.watch(() => void follow());
  return h('div', { class: 'tab-body' }, nothing, toolbar, room);
}

function nothingToShow(app: App, graph: GraphPane, node: NodeDetails | undefined): HTMLElement {
  const loaded = app.graph.get().value;
  let heaviest = -1;
  loaded?.view.weightBytes.forEach((size, v) => {
    if (size > (heaviest < 0 ? 0 : loaded.view.weightBytes[heaviest]!)) heaviest = v;
  });
  const text = node === undefined ? 'Select a layer to look at its weights.' : 'This layer has no constants.';
  if (heaviest < 0 || loaded === undefined) return empty(text);
  const id = loaded.view.strings[loaded.view.id[heaviest]!]!;
  return empty(
    text,
    link(`Go to the heaviest layer (${bytes(loaded.view.weightBytes[heaviest])})`, id, () =>
      graph.showLayer(id),
    ),
  );
}

async function exportTo(
  app: App,
  node: NodeDetails | undefined,
  value: ValueDetails | undefined,
): Promise<void> {
  if (node === undefined || value === undefined) return;
  const written = await app.run('Export', 'exportTensor', {
    value: value.value,
    graph: node.graph,
    name: value.name,
  });
  if (written !== undefined && written !== null) app.say(`Wrote ${written.file}, ${bytes(written.bytes)}.`);
}
