import type { Tab } from '../../src/editor/page/protocol.ts';
import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { bytes, count, grouped, macs } from '../format.ts';
import type { Levels } from '../graph/graphModel.ts';
import type { GraphPane } from '../graph/graphPane.ts';
import { type HiddenKind, everythingShown, hiddenKinds, nothingShown } from '../graph/hiding.ts';
import { type OverlayId, overlays } from '../graph/overlay.ts';
import { button, checkbox, dropdown } from '../ui/controls.ts';
import { exportExplorer, exportPicture } from '../graph/export.ts';
import { pickOverlayFile, removeOverlayFiles } from '../overlays.ts';
import { createBudget } from './budget.ts';
import { createPopover } from './popover.ts';
import { compressedWords, updateWords } from './shipped.ts';
import { createSearch } from './search.ts';
import type { Pane } from './splitter.ts';

interface Panes {
  readonly details: Pane;
  readonly below: Pane;
  show(tab: Tab, run: boolean): void;
}

const noDevice = 'none';

/** The strip on top: what the model is, where it should run, whether it fits, and what to look at. */
export function createStrip(app: App, graph: GraphPane, panes: Panes): HTMLElement {
  const optimize = button({
    text: 'Optimize',
    more: ' for device…',
    label: 'Optimize for device…',
    icon: 'rocket',
    look: 'primary',
    onClick: () => panes.show('optimize', app.document.get()?.device !== null),
  });
  const flip = (pane: Pane) => () => pane.setOpen(!pane.isOpen());
  return h(
    'header',
    { class: 'strip' },
    h('div', { class: 'strip-group' }, headline(app), devicePicker(app), createBudget(app)),
    h(
      'div',
      { class: 'strip-group' },
      createSearch(app, graph),
      overlayPicker(app),
      ...foldPicker(graph),
      filesMenu(app, graph),
      h(
        'span',
        { class: 'strip-buttons' },
        button({
          icon: 'layout-panel',
          label: 'Show or hide the lower panel',
          look: 'icon',
          onClick: flip(panes.below),
        }).element,
        button({
          icon: 'layout-sidebar-right',
          label: 'Show or hide the details',
          look: 'icon',
          onClick: flip(panes.details),
        }).element,
      ),
      optimize.element,
    ),
  );
}

function headline(app: App): HTMLElement {
  const format = h('span');
  const file = h('span', { class: 'hidden-text' });
  const title = h('h1', { class: 'model-name' }, format, file);
  const numbers = h('span', { class: 'muted headline-numbers' });
  app.document.watch((state) => {
    if (state === undefined) return;
    format.textContent = state.format === 'onnx' ? 'ONNX' : 'TFLite';
    // The tab shows it; only who does not see the tab needs it here.
    file.textContent = ` model ${state.file}`;
    title.title = state.file;
  });
  const show = () => {
    const { value, error } = app.inspect.get();
    if (value === undefined) numbers.textContent = error ?? '';
    else {
      numbers.textContent = `${bytes(value.fileBytes)} · ${count(value.params)} params · ${value.macs === null ? 'MACs unknown' : macs(value.macs)}`;
      const update = updateWords(app.shipped.get());
      numbers.title = [
        `Compressed: ${compressedWords(app.shipped.get())}`,
        ...(update === undefined ? [] : [`Update from the file as opened: ${update}`]),
        ...(value.macs === null ? ['Some layers have no known cost; the details name them.'] : []),
      ].join('\n');
    }
  };
  app.inspect.watch(show);
  app.shipped.watch(show);
  return h('span', { class: 'headline' }, title, numbers);
}

function devicePicker(app: App): HTMLElement {
  const picker = dropdown({
    label: 'Target device',
    onChange(value) {
      const device = value === noDevice ? null : value;
      if (device === app.document.get()?.device) return;
      app.tell('setDevice', { device });
    },
  });
  const show = () => {
    const devices = app.devices.get().value?.devices ?? [];
    const chosen = app.document.get()?.device ?? noDevice;
    const choices = [
      { value: noDevice, text: 'Choose a device' },
      ...devices.map(({ id, name }) => ({ value: id, text: name })),
    ];
    // The names may still be on their way, or the device's file is gone: its id says more than nothing.
    const known = choices.some(({ value }) => value === chosen);
    picker.set(known ? choices : [...choices, { value: chosen, text: chosen }], chosen);
  };
  app.devices.watch(show);
  app.document.onChange(show);
  picker.element.classList.add('device-picker');
  return picker.element;
}

function overlayPicker(app: App): HTMLElement {
  const picker = dropdown({
    label: 'Overlay on the graph',
    onChange: (value) => app.overlay.set(value as OverlayId),
  });
  const show = () => {
    const imported = [...app.extra.get().values()].filter(({ id }) => id.startsWith('file:'));
    const all = [...overlays, ...imported];
    // A page that comes back may remember the values of a file that it does not hold any more.
    const id = all.some((each) => each.id === app.overlay.get()) ? app.overlay.get() : 'none';
    picker.set(
      all.map(({ id: value, title }) => ({ value, text: title })),
      id,
    );
  };
  app.overlay.watch(show);
  app.extra.onChange(show);
  return picker.element;
}

/** Values from files, and the graph as a file. */
function filesMenu(app: App, graph: GraphPane): HTMLElement {
  const act = (text: string, picture: string, run: () => void) =>
    button({
      text,
      icon: picture,
      onClick: () => {
        popover.close();
        run();
      },
    }).element;
  const popover = createPopover({
    icon: 'ellipsis',
    label: 'Import values and export the graph',
    content: () => [
      h('p', {
        class: 'muted',
        text: 'Values per layer from Model Explorer node data, a Netron attachment, an ONNX Runtime profile or plain JSON; or drop the file on the graph.',
      }),
      act('Import values…', 'cloud-upload', () => void pickOverlayFile(app)),
      ...([...app.extra.get().keys()].some((id) => id.startsWith('file:'))
        ? [act('Forget imported values', 'clear-all', () => removeOverlayFiles(app))]
        : []),
      h('p', { class: 'muted', text: 'The graph as it is folded now:' }),
      act('Export PNG…', 'file-media', () => void exportPicture(app, graph, 'png')),
      act('Export SVG…', 'file-media', () => void exportPicture(app, graph, 'svg')),
      h('p', { class: 'muted', text: 'The whole graph with its costs:' }),
      act('Export Model Explorer JSON…', 'json', () => void exportExplorer(app)),
    ],
  });
  return popover.element;
}

const kindTitles: Readonly<Record<HiddenKind, string>> = {
  constants: 'Constants',
  shapes: 'Shape arithmetic',
  pairs: 'Quantize and dequantize pairs',
};

function foldPicker(graph: GraphPane): readonly HTMLElement[] {
  const { levels, setLevel } = graph.model;
  const everything = 'everything';
  const picker = dropdown({
    label: 'Fold level',
    onChange(value) {
      const { current, deepest, shown } = levels.get();
      if (value === everything) setLevel(deepest, everythingShown);
      else if (Number(value) !== current || allShown(levels.get()))
        setLevel(Number(value), allShown(levels.get()) ? nothingShown : shown);
    },
  });
  levels.watch((now) => {
    const { current, deepest } = now;
    const choices = Array.from({ length: deepest + 1 }, (_, level) => ({
      value: String(level),
      text: level === deepest ? 'All layers' : level === 0 ? 'Folded' : `Fold level ${level}`,
    }));
    const hides = hiddenKinds.some((kind) => now.hidden[kind] > 0);
    const all = hides ? [{ value: everything, text: 'Everything' }] : [];
    picker.set(
      [...choices, ...all],
      hides && current === deepest && allShown(now) ? everything : String(current),
    );
  });
  const kinds = createPopover({
    icon: 'eye',
    label: 'What is folded into cards',
    content: () => [
      h('p', { class: 'muted', text: 'Show these as cards of their own:' }),
      ...hiddenKinds.map((kind) => {
        const { hidden, shown } = levels.get();
        const box = checkbox({
          text: `${kindTitles[kind]} (${grouped(hidden[kind])})`,
          value: shown[kind],
          onChange: (value) => {
            const now = levels.get();
            setLevel(now.current, { ...now.shown, [kind]: value });
          },
        });
        if (hidden[kind] === 0) box.element.setAttribute('disabled', '');
        return box.element;
      }),
    ],
  });
  return [picker.element, kinds.element];
}

function allShown({ shown, hidden }: Levels): boolean {
  return hiddenKinds.every((kind) => shown[kind] || hidden[kind] === 0);
}
