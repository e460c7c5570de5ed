import type { NodeDetails, ValueDetails } from '../../src/engine/answers.ts';
import { type App } from '../app.ts';
import { layerOf } from '../loadedGraph.ts';
import { h } from '../dom.ts';
import { bytes, count, macs, plural, time } from '../format.ts';
import type { GraphPane } from '../graph/graphPane.ts';
import { attributeHelp } from './attributeHelp.ts';
import { modelSummary } from './modelSummary.ts';
import { facts, findingCard, heading, link, section } from './parts.ts';
import { passForm } from './passForm.ts';
import { portDetails } from './portDetails.ts';
import { tensorStats } from './tensorStats.ts';

/** Details of the selected layer; of the model when nothing is selected. */
export function createDetails(app: App, graph: GraphPane): HTMLElement {
  const element = h('div', {
    class: 'details',
    attributes: { tabindex: 0, role: 'region', 'aria-label': 'Details' },
  });
  const summary = modelSummary(app);
  let call = 0;
  let shownFor = '';

  const show = async () => {
    const mine = ++call;
    const selection = app.selection.get();
    const loaded = app.graph.get().value;
    const index = selection?.kind === 'layer' ? loaded?.indexOf.get(selection.id) : undefined;
    if (selection?.kind !== 'layer' || (loaded !== undefined && index === undefined)) {
      shownFor = '';
      if (selection?.kind === 'group')
        return element.replaceChildren(groupDetails(app, graph, selection.key));
      // The summary keeps itself up to date; taking it out and in again starts every control in it anew.
      return summary.parentElement === element ? undefined : element.replaceChildren(summary);
    }
    if (loaded !== undefined && loaded.view.kind[index!] !== 0) {
      shownFor = '';
      return element.replaceChildren(portDetails(app, index!));
    }
    try {
      const layer = layerOf(app.graph.get(), selection.id);
      const details = await app.host.call('node', { id: layer });
      if (mine !== call) return;
      const top = shownFor === selection.id ? element.scrollTop : 0;
      element.replaceChildren(layerDetails(app, graph, details));
      element.scrollTop = top;
      shownFor = selection.id;
    } catch (error) {
      if (mine === call)
        element.replaceChildren(h('p', { class: 'problem', text: (error as Error).message }));
    }
  };
  app.selection.watch(() => void show());
  app.graph.watch(({ loading }) => {
    if (!loading) void show();
  });
  app.passes.watch(({ value }) => {
    if (value !== undefined) void show();
  });
  // A group has its totals once it is folded.
  graph.model.scene.onChange(() => {
    if (app.selection.get()?.kind === 'group') void show();
  });
  return element;
}

function layerDetails(app: App, graph: GraphPane, details: NodeDetails): HTMLElement {
  const { cost } = details;
  const index = app.graph.get().value?.indexOf.get(details.id);
  const estimate = index === undefined ? Number.NaN : app.graph.get().value!.view.estimateMs[index]!;
  const measured = app.measured.get()?.get(details.id);
  const passes = (app.passes.get().value?.passes ?? []).filter((pass) => details.passes.includes(pass.id));
  const constants = details.inputs.filter((input) => input.constant);
  return h(
    'div',
    {},
    heading(
      details.domain === '' ? details.op : `${details.domain}.${details.op}`,
      details.name === '' ? details.id : details.name,
      [
        link('Show in graph', 'Unfold the graph down to this layer', () => graph.showLayer(details.id)),
        link('Text form', 'Open the text form at this layer', () =>
          app.tell('showText', { layer: details.id }),
        ),
        link('Whole model', 'Clear the selection', () => app.selection.set(undefined)),
      ],
    ),
    details.findings.length === 0
      ? null
      : section(
          plural(details.findings.length, 'finding'),
          { open: true },
          ...details.findings.map((finding) => findingCard(app, finding, { withLayer: false })),
        ),
    section(
      'Cost',
      { open: true },
      facts([
        ['Work', `${macs(cost.macs)}, ${count(cost.flops)}FLOP`.replace(/(\d)FLOP/, '$1 FLOP')],
        ['Formula', h('code', { text: cost.formula })],
        ['Weights', `${count(cost.params)} parameters, ${bytes(cost.weightBytes)}`],
        ['Activations', `${bytes(cost.inputBytes)} read, ${bytes(cost.activationBytes)} written`],
        ...(Number.isNaN(estimate) ? [] : ([['Estimated time', time(estimate)]] as const)),
        ...(measured === undefined ? [] : ([['Measured time', time(measured)]] as const)),
      ]),
    ),
    details.attributes.length === 0 ? null : attributes(details),
    foldedInto(app, graph, index),
    section('Inputs', { open: true }, ...details.inputs.map((value) => valueCard(app, value, 'from'))),
    section('Outputs', { open: true }, ...details.outputs.map((value) => valueCard(app, value, 'to'))),
    constants.length === 0
      ? null
      : section(
          'Weights',
          { open: true },
          ...constants.map((value) => weightCard(app, value, details.graph)),
        ),
    section(
      'Passes',
      { open: true },
      ...(passes.length === 0
        ? [
            h('p', {
              class: 'muted',
              text: 'No pass works on this layer alone. Clear the selection for passes on the whole model.',
            }),
          ]
        : passes.map((pass) => passForm(app, pass, { layers: [details.id] }))),
    ),
  );
}

/** Whether attributes are explained; experts need it rarely, and then for all of them. */
let explained = false;

function attributes(details: NodeDetails): HTMLElement {
  const body = h('div', { class: explained ? 'explained' : '' });
  const known = details.attributes.some(({ name }) => attributeHelp(name) !== undefined);
  const explain = link('Explain these', 'What these attributes mean', () => {
    explained = !explained;
    body.classList.toggle('explained', explained);
    explain.setAttribute('aria-pressed', String(explained));
  });
  explain.setAttribute('aria-pressed', String(explained));
  body.append(
    facts(details.attributes.map(({ name, value }) => [name, attributeValue(name, value)] as const)),
    ...(known ? [explain] : []),
  );
  return section('Attributes', { open: true }, body);
}

function attributeValue(name: string, value: string): HTMLElement {
  const meaning = attributeHelp(name);
  return h(
    'div',
    {},
    h('code', { text: value, title: meaning ?? '' }),
    meaning === undefined ? null : h('div', { class: 'muted attribute-help', text: meaning }),
  );
}

/** What stands in this card without one of its own: constants, shape arithmetic, pairs of quantization. */
function foldedInto(app: App, graph: GraphPane, index: number | undefined): HTMLElement | null {
  const scene = graph.model.scene.get()?.scene;
  if (scene === undefined || index === undefined) return null;
  const item = scene.visible.itemOf[index]!;
  if (scene.visible.group[item]! >= 0 || scene.visible.node[item] !== index) return null;
  const inside = scene.members[item]!.filter((v) => v !== index);
  if (inside.length === 0) return null;
  const { strings, id, op } = scene.view;
  return section(
    `${plural(inside.length, 'layer')} folded into this card`,
    { open: false },
    ...inside.slice(0, 40).map((v) =>
      h(
        'div',
        {},
        h('span', { class: 'muted', text: `${strings[op[v]!]!} ` }),
        link(strings[id[v]!]!, 'Select this layer', () =>
          app.selection.set({ kind: 'layer', id: strings[id[v]!]! }),
        ),
      ),
    ),
    inside.length > 40 ? h('p', { class: 'muted', text: `and ${inside.length - 40} more` }) : null,
  );
}

function valueCard(app: App, value: ValueDetails, way: 'from' | 'to'): HTMLElement {
  const size = value.bytes === null ? '' : ` · ${bytes(value.bytes)}`;
  return h(
    'div',
    { class: 'value' },
    h(
      'div',
      {},
      h('span', { class: 'role', text: value.role }),
      h('code', { text: value.name, title: value.name }),
    ),
    h('div', { class: 'muted', text: `${value.type}${size}${value.constant ? ' · constant' : ''}` }),
    value.quantization === null ? null : h('div', { class: 'muted', text: value.quantization }),
    value.peers.length === 0
      ? null
      : h(
          'div',
          { class: 'muted peers' },
          `${way} `,
          ...value.peers
            .slice(0, 12)
            .map((id) => link(id, 'Select this layer', () => app.selection.set({ kind: 'layer', id }))),
          value.peers.length > 12 ? ` and ${value.peers.length - 12} more` : null,
        ),
  );
}

function weightCard(app: App, value: ValueDetails, graph: number): HTMLElement {
  return h(
    'div',
    { class: 'value' },
    h('div', {}, h('span', { class: 'role', text: value.role }), h('code', { text: value.name })),
    tensorStats(app, value.value, graph),
    link('Values and channels', 'Show in the Weights tab', () => app.showTab.get()?.('weights')),
  );
}

/** Totals of a folded group. */
function groupDetails(app: App, graph: GraphPane, key: string): HTMLElement {
  const scene = graph.model.scene.get()?.scene;
  const item = scene === undefined ? -1 : graph.model.itemOfSelection(scene);
  if (scene === undefined || item < 0)
    return h('p', { class: 'muted', text: 'This group is unfolded. Select one of its layers.' });
  const { view } = scene;
  const members = scene.members[item]!;
  const sum = (values: Float64Array) => members.reduce((total, v) => total + values[v]!, 0);
  const operators = new Map<string, number>();
  for (const v of members)
    operators.set(view.strings[view.op[v]!]!, (operators.get(view.strings[view.op[v]!]!) ?? 0) + 1);
  return h(
    'div',
    {},
    heading(scene.labels[item]!.title, key, [
      link('Unfold', 'Show the layers of this group', () => graph.model.toggle(scene.visible.group[item]!)),
      link('Whole model', 'Clear the selection', () => app.selection.set(undefined)),
    ]),
    facts([
      ['Layers', String(members.length)],
      ['Work', macs(sum(view.macs))],
      ['Weights', `${count(sum(view.params))} parameters, ${bytes(sum(view.weightBytes))}`],
      ['Estimated time', time(sum(view.estimateMs))],
      ['Findings', String(scene.findings[item]!)],
      [
        'Operators',
        [...operators]
          .sort((a, b) => b[1] - a[1])
          .map(([op, n]) => `${op} ×${n}`)
          .join(', '),
      ],
    ]),
  );
}
