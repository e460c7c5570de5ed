import { h } from '../dom.ts';
import type { Measures } from './decor.ts';
import { type OverlayId, overlayOf } from './overlay.ts';
import type { Theme } from './theme.ts';

export interface Legend {
  readonly element: HTMLElement;
  show(overlay: OverlayId, measures: Measures, theme: Theme): void;
}

/** Says what colours and bars mean, with numbers and units at both ends. */
export function createLegend(): Legend {
  const element = h('div', { class: 'legend', attributes: { role: 'note', 'aria-label': 'Legend' } });
  return {
    element,
    show(overlay, measures, theme) {
      element.replaceChildren(...entries(overlay, measures, theme));
    },
  };
}

function entries(overlay: OverlayId, measures: Measures, theme: Theme): readonly HTMLElement[] {
  const { basis, hottest, unknown, kinds, families } = measures;
  if (overlay === 'precision') {
    return [
      h('span', { text: 'Precision' }),
      ...kinds.map((name, k) => swatch(name, theme.kinds[Math.min(5, k)]!)),
    ];
  }
  if (overlay === 'none') {
    const bars = h('span', { text: `Bars: ${basis.title}, longest ${basis.format(hottest)}` });
    return [...familySwatches(families, theme), ...(hottest > 0 ? [bars] : [])];
  }
  const title = h('span', { text: overlayOf(overlay).title });
  if (overlay === 'measured' && hottest === 0) {
    return [title, h('span', { class: 'muted', text: 'Run the benchmark to measure the layers.' })];
  }
  const without = `${unknown} ${unknown === 1 ? 'box' : 'boxes'} without a value`;
  return [
    title,
    h('span', { class: 'muted', text: '0' }),
    rampPicture(theme),
    h('span', { class: 'muted', text: basis.format(hottest) }),
    ...(unknown > 0 ? [h('span', { class: 'muted', text: without })] : []),
  ];
}

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
