import { h } from '../dom.ts';
import { plural } from '../format.ts';
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
      const { basis, hottest, unknown, kinds } = measures;
      element.replaceChildren();
      if (overlay === 'precision') {
        element.append(
          h('span', { text: 'Precision' }),
          ...kinds.map((name, k) => kind(name, theme.kinds[Math.min(5, k)]!)),
        );
        return;
      }
      if (overlay === 'none') {
        if (hottest > 0)
          element.append(h('span', { text: `Bars: ${basis.title}, longest ${basis.format(hottest)}` }));
        return;
      }
      element.append(h('span', { text: overlayOf(overlay).title }));
      if (overlay === 'measured' && hottest === 0) {
        element.append(h('span', { class: 'muted', text: 'Run the benchmark to measure the layers.' }));
        return;
      }
      const ramp = h('canvas', { class: 'legend-ramp', attributes: { 'aria-hidden': 'true' } });
      ramp.width = theme.ramp.length;
      ramp.height = 1;
      const context = ramp.getContext('2d');
      theme.strongRamp.forEach((colour, i) => {
        if (context === null) return;
        context.fillStyle = colour;
        context.fillRect(i, 0, 1, 1);
      });
      element.append(
        h('span', { class: 'muted', text: '0' }),
        ramp,
        h('span', { class: 'muted', text: basis.format(hottest) }),
      );
      if (unknown > 0)
        element.append(
          h('span', {
            class: 'muted',
            text: `${plural(unknown, 'box')}`.replace('boxs', 'boxes') + ' without a value',
          }),
        );
    },
  };
}

function kind(name: string, colour: string): HTMLElement {
  const swatch = h('span', { class: 'swatch' });
  swatch.style.background = colour;
  return h('span', { class: 'legend-kind' }, swatch, name);
}
