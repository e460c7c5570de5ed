import type { TensorStatistics } from '../../src/engine/protocol.ts';
import type { App } from '../app.ts';
import { h, svg } from '../dom.ts';
import { count, digits, percent } from '../format.ts';
import { facts, link } from './parts.ts';

/** A link that becomes the statistics of a constant; weights are read only when somebody asks. */
export function tensorStats(app: App, value: string, graph: number): HTMLElement {
  const element = h('div', { class: 'tensor' });
  const ask = async () => {
    element.replaceChildren(h('span', { class: 'muted', text: 'Reading the weights…' }));
    try {
      element.replaceChildren(statistics(await app.host.call('tensor', { value, graph })));
    } catch (error) {
      element.replaceChildren(h('span', { class: 'problem', text: (error as Error).message }));
    }
  };
  element.append(link('Show statistics', 'Read this constant and show its values', () => void ask()));
  return element;
}

/** Histogram and numbers of a constant. */
export function statistics(stats: TensorStatistics): HTMLElement {
  const number = (value: number | null) => (value === null ? 'unknown' : digits(value));
  return h(
    'div',
    {},
    stats.histogram === null ? null : histogram(stats.histogram),
    facts([
      ['Elements', count(stats.elements)],
      ['Range', `${number(stats.min)} to ${number(stats.max)}`],
      ['Mean, deviation', `${number(stats.mean)}, ${number(stats.std)}`],
      ['Zeros', percent(stats.elements === 0 ? 0 : stats.zeros / stats.elements)],
      ['First values', h('code', { text: stats.preview.map((x) => digits(x)).join(', ') })],
    ]),
  );
}

function histogram({ counts, from, to }: NonNullable<TensorStatistics['histogram']>): HTMLElement {
  const most = Math.max(1, ...counts);
  const step = 100 / Math.max(1, counts.length);
  const bars = counts.map((n, i) => {
    // The root keeps rare values visible beside the peak.
    const height = Math.sqrt(n / most) * 100;
    return svg('rect', { x: i * step, y: 100 - height, width: step * 0.9, height });
  });
  const picture = svg(
    'svg',
    {
      class: 'histogram',
      viewBox: '0 0 100 100',
      preserveAspectRatio: 'none',
      role: 'img',
      'aria-label': `Histogram from ${digits(from)} to ${digits(to)}`,
    },
    ...bars,
  );
  return h(
    'div',
    {},
    picture,
    h(
      'div',
      { class: 'axis muted' },
      h('span', { text: digits(from) }),
      h('span', { text: 'square-root scale' }),
      h('span', { text: digits(to) }),
    ),
  );
}
