import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { plural } from '../format.ts';
import { button, select } from '../ui/controls.ts';
import type { Measures } from './decor.ts';
import type { LayerValues } from './overlay.ts';
import { type Scale, scales } from './scale.ts';
import type { Theme } from './theme.ts';

export interface Legend {
  readonly element: HTMLElement;
  show(measures: Measures, theme: Theme): void;
}

/** Says what colours and bars mean, with numbers and units at both ends; numbers have a scale and a threshold. */
export function createLegend(app: App): Legend {
  const words = h('div', { class: 'legend-words', attributes: { role: 'note', 'aria-label': 'Legend' } });
  const scale = select({
    label: 'Scale of the heat',
    onChange: (value) => app.scale.set(value as Scale),
  });
  app.scale.watch((now) =>
    scale.set(
      scales.map(({ id, title }) => ({ value: id, text: title })),
      now,
    ),
  );
  const threshold = h('input', {
    class: 'legend-threshold',
    attributes: { type: 'range', min: 0, max: 100, 'aria-label': 'Dim what is below' },
  });
  threshold.addEventListener('input', () => app.threshold.set(Number(threshold.value) / 100));
  app.threshold.watch((now) => void (threshold.value = String(Math.round(now * 100))));
  const limit = h('span', { class: 'muted legend-limit' });
  const controls = h('div', { class: 'legend-controls' }, scale.element, threshold, limit);
  const make = h('div', { class: 'legend-make' });
  const element = h('div', { class: 'legend' }, words, controls, make);
  let offered = '';
  return {
    element,
    show(measures, theme) {
      const extra = app.extra.get().get(measures.overlay.id);
      words.replaceChildren(...entries(measures, theme, extra));
      const numeric = measures.showWords && measures.hottest > 0;
      controls.hidden = !numeric;
      limit.textContent =
        app.threshold.get() === 0
          ? 'all shown'
          : `${measures.above} at or above ${measures.basis.format(measures.thresholdValue)}`;
      // A button that is there already keeps the focus.
      const offer = makersOf(app, measures);
      const key = offer.map(({ text }) => text).join();
      if (key !== offered)
        make.replaceChildren(...offer.map(({ text, act }) => button({ text, onClick: act }).element));
      offered = key;
      make.hidden = offer.length === 0;
      element.hidden = !words.hasChildNodes();
    },
  };
}

/** How to come by values that are not there. */
function makersOf(
  app: App,
  { overlay }: Measures,
): readonly { readonly text: string; readonly act: () => void }[] {
  if (app.extra.get().has(overlay.id)) return [];
  switch (overlay.id) {
    case 'sensitivity':
      return ['int8', 'int4', 'fp16'].map((scheme) => ({
        text: `Measure for ${scheme}`,
        act: () => app.make.get()?.sensitivity(scheme),
      }));
    case 'sparsity':
      return [{ text: 'Read the weights', act: () => app.make.get()?.sparsity() }];
    case 'measured':
      return [{ text: 'Run the benchmark', act: () => app.make.get()?.benchmark() }];
    case 'difference':
      return [{ text: 'Compare with another file…', act: () => app.make.get()?.comparison() }];
    default:
      return [];
  }
}

function entries(measures: Measures, theme: Theme, extra: LayerValues | undefined): readonly HTMLElement[] {
  const { overlay, basis, hottest, unknown, kinds, families } = measures;
  if (overlay.kinds === true) {
    return [
      h('span', { text: overlay.title }),
      ...kinds.map((name, k) => swatch(name, theme.kinds[Math.min(5, k)]!)),
    ];
  }
  if (overlay.id === 'none') {
    const bars = h('span', { text: `Bars: ${basis.title}, longest ${basis.format(hottest)}` });
    return [...familySwatches(families, theme), ...(hottest > 0 ? [bars] : [])];
  }
  const title = h('span', { text: overlay.title });
  const note =
    extra === undefined || extra.note === '' ? [] : [h('span', { class: 'muted', text: extra.note })];
  if (hottest === 0)
    return [
      title,
      ...(extra === undefined
        ? [h('span', { class: 'muted', text: needs[overlay.id] ?? 'nothing above 0' })]
        : note),
    ];
  return [
    title,
    h('span', { class: 'muted', text: basis.format(0) }),
    rampPicture(theme),
    h('span', { class: 'muted', text: basis.format(hottest) }),
    ...note,
    ...(unknown > 0
      ? [
          h('span', {
            class: 'muted',
            text: `${plural(unknown, 'box').replace(/boxs$/, 'boxes')} without a value`,
          }),
        ]
      : []),
  ];
}

const needs: Readonly<Record<string, string>> = {
  measured: 'Nothing has been measured yet.',
  estimate: 'Choose a device to estimate the layers.',
  sensitivity: 'What each layer alone does to the outputs is not measured yet.',
  sparsity: 'Zeros are counted by reading every weight once.',
  difference: 'There is no other model to differ from.',
};

/** Families that share a colour share a swatch. */
function familySwatches(families: readonly string[], theme: Theme): readonly HTMLElement[] {
  const byColour = new Map<string, string[]>();
  for (const family of families) {
    const colour = theme.family[family] ?? theme.family['other']!;
    byColour.set(colour, [...(byColour.get(colour) ?? []), family]);
  }
  return [...byColour].map(([colour, names]) => swatch(names.join(', '), colour));
}

function rampPicture(theme: Theme): HTMLElement {
  const ramp = h('canvas', { class: 'legend-ramp', attributes: { 'aria-hidden': 'true' } });
  ramp.width = theme.strongRamp.length;
  ramp.height = 1;
  const context = ramp.getContext('2d');
  theme.strongRamp.forEach((colour, i) => {
    if (context === null) return;
    context.fillStyle = colour;
    context.fillRect(i, 0, 1, 1);
  });
  return ramp;
}

function swatch(name: string, colour: string): HTMLElement {
  const square = h('span', { class: 'swatch' });
  square.style.background = colour;
  return h('span', { class: 'legend-kind' }, square, name);
}
