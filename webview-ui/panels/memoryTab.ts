import type { MemoryPlan } from '../../src/engine/protocol.ts';
import type { App } from '../app.ts';
import { h, svg } from '../dom.ts';
import { bytes, plural } from '../format.ts';
import { empty, facts, section } from './parts.ts';

/** Live bytes over the execution, the peak, and what is alive there. */
export function createMemoryTab(app: App): HTMLElement {
  const element = h('div', { class: 'tab-body scroll' });
  app.layers.watch(({ value, error, loading }) => {
    if (value === undefined) {
      element.replaceChildren(
        empty(error ?? (loading ? 'Planning the memory…' : 'The memory plan appears here.')),
      );
    } else if (value.memory === null) {
      element.replaceChildren(
        empty(
          'Some activation sizes are unknown, so there is no plan. Bind the free dimensions of the model to see one.',
        ),
      );
    } else {
      const ids = value.layers.map(({ id, name, op }) => ({ id, title: `${op} ${name === '' ? id : name}` }));
      element.replaceChildren(planView(app, value.memory, ids));
    }
  });
  return element;
}

type Step = { readonly id: string; readonly title: string };

function planView(app: App, plan: MemoryPlan, layers: readonly Step[]): HTMLElement {
  const steps = plan.live.length;
  let peakStep = 0;
  for (let i = 1; i < steps; i++) if (plan.live[i]! > plan.live[peakStep]!) peakStep = i;
  const words = h('div', { class: 'muted', attributes: { 'aria-live': 'polite' } });
  const alive = h('div');
  const show = (step: number) => {
    const layer = layers[step];
    words.textContent = `Step ${step + 1} of ${steps}${layer === undefined ? '' : `, ${layer.title}`}: ${bytes(plan.live[step])} alive`;
    const blocks = plan.blocks
      .filter(({ first, last }) => first <= step && step <= last)
      .sort((a, b) => b.bytes - a.bytes);
    alive.replaceChildren(
      section(
        `${plural(blocks.length, 'tensor')} alive at step ${step + 1}`,
        { open: true },
        facts(
          blocks
            .slice(0, 40)
            .map(
              ({ value, bytes: size, first, last }) =>
                [value, `${bytes(size)}, steps ${first + 1} to ${last + 1}`] as const,
            ),
        ),
      ),
    );
  };
  const chart = chartOf(plan, peakStep, {
    show,
    pick(step) {
      const layer = layers[step];
      if (layer !== undefined) app.selection.set({ kind: 'layer', id: layer.id });
    },
  });
  show(peakStep);
  return h(
    'div',
    { class: 'memory' },
    h(
      'p',
      {},
      'Peak ',
      h('b', { text: bytes(plan.peakBytes) }),
      ` at step ${peakStep + 1}; no plan can need less than `,
      h('b', { text: bytes(plan.lowerBoundBytes) }),
      '.',
    ),
    chart,
    words,
    alive,
  );
}

function chartOf(
  plan: MemoryPlan,
  peakStep: number,
  act: { show(step: number): void; pick(step: number): void },
): HTMLElement {
  const steps = plan.live.length;
  const most = Math.max(plan.peakBytes, 1);
  const y = (value: number) => 100 - (value / most) * 96;
  const points = Array.from(plan.live, (value, i) => `L${i} ${y(value)}L${i + 1} ${y(value)}`).join('');
  const cursor = svg('line', {
    class: 'chart-cursor',
    x1: peakStep + 0.5,
    x2: peakStep + 0.5,
    y1: 0,
    y2: 100,
  });
  const picture = svg(
    'svg',
    {
      class: 'chart',
      viewBox: `0 0 ${steps} 100`,
      preserveAspectRatio: 'none',
      role: 'slider',
      tabindex: 0,
      'aria-label': 'Live activation memory by step',
      'aria-valuemin': 1,
      'aria-valuemax': steps,
      'aria-valuenow': peakStep + 1,
    },
    svg('path', { class: 'chart-area', d: `M0 100${points}L${steps} 100Z` }),
    svg('line', { class: 'chart-peak', x1: 0, x2: steps, y1: y(plan.peakBytes), y2: y(plan.peakBytes) }),
    cursor,
  );
  let at = peakStep;
  const go = (step: number) => {
    at = Math.max(0, Math.min(steps - 1, step));
    cursor.setAttribute('x1', String(at + 0.5));
    cursor.setAttribute('x2', String(at + 0.5));
    picture.setAttribute('aria-valuenow', String(at + 1));
    act.show(at);
  };
  const stepAt = (event: MouseEvent) => {
    const { left, width } = picture.getBoundingClientRect();
    return Math.floor(((event.clientX - left) / width) * steps);
  };
  picture.addEventListener('mousemove', (event) => go(stepAt(event)));
  picture.addEventListener('click', (event) => act.pick(stepAt(event)));
  picture.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowRight') go(at + 1);
    else if (event.key === 'ArrowLeft') go(at - 1);
    else if (event.key === 'Enter') act.pick(at);
    else return;
    event.preventDefault();
  });
  return h(
    'div',
    { class: 'chart-frame' },
    picture,
    h(
      'div',
      { class: 'axis muted' },
      h('span', { text: 'first step' }),
      h('span', { text: `${steps} steps` }),
      h('span', { text: 'last step' }),
    ),
  );
}
