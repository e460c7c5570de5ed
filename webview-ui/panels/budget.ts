import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { bytes, limit, macs, time } from '../format.ts';

interface Limit {
  readonly title: string;
  readonly used: number | null;
  readonly allowed: number;
  readonly format: (value: number | null) => string;
  /** How the limit itself is written, where that is another way. */
  readonly formatLimit?: (value: number) => string;
}

/** One small bar per limit: used of allowed, from the budget or else from the device. */
export function createBudget(app: App): HTMLElement {
  const element = h('span', { class: 'budget', attributes: { 'aria-label': 'Budget' } });
  const show = () => element.replaceChildren(...limitsOf(app).map(bar));
  app.inspect.watch(show);
  app.estimate.watch(show);
  app.devices.watch(show);
  app.document.onChange(show);
  return element;
}

function limitsOf(app: App): readonly Limit[] {
  const state = app.document.get();
  const report = app.inspect.get().value;
  if (state === undefined || report === undefined) return [];
  const device = app.devices.get().value?.devices.find(({ id }) => id === state.device);
  const estimate = app.estimate.get().value;
  const { budget } = state;
  const limits: readonly (Omit<Limit, 'allowed'> & { readonly allowed: number | undefined })[] = [
    { title: 'File', used: report.fileBytes, allowed: budget.fileBytes, format: bytes, formatLimit: limit },
    {
      title: 'Flash',
      used: estimate?.flashBytes ?? report.fileBytes,
      allowed: budget.flashBytes ?? device?.flashBytes,
      format: bytes,
      formatLimit: limit,
    },
    {
      title: 'RAM',
      used: estimate === undefined ? report.peakActivationBytes : estimate.ramBytes,
      allowed: budget.ramBytes ?? device?.ramBytes,
      format: bytes,
      formatLimit: limit,
    },
    { title: 'MACs', used: report.macs, allowed: budget.macs, format: macs },
    { title: 'Latency', used: estimate?.latencyMs ?? null, allowed: budget.latencyMs, format: time },
  ];
  return limits.filter((limit): limit is Limit => limit.allowed !== undefined);
}

function bar({ title, used, allowed, format, formatLimit = format }: Limit): HTMLElement {
  const share = used === null ? 0 : used / allowed;
  const over = share > 1;
  const fill = h('span', { class: 'meter-fill' });
  fill.style.width = `${Math.min(100, share * 100)}%`;
  return h(
    'span',
    {
      class: `meter${over ? ' over' : ''}`,
      title: `${title}: ${format(used)} used of ${formatLimit(allowed)} allowed${over ? ', too much' : ''}`,
      attributes: {
        role: 'meter',
        'aria-valuemin': 0,
        'aria-valuemax': allowed,
        'aria-valuenow': used ?? 0,
        'aria-valuetext': `${title} ${format(used)} of ${formatLimit(allowed)}`,
      },
    },
    h(
      'span',
      { class: 'meter-words' },
      h('span', { class: 'meter-name', text: title }),
      h('b', { class: 'meter-used', text: ` ${format(used)}` }),
      h('span', { class: 'roomy', text: ` / ${formatLimit(allowed)}` }),
      over ? h('span', { class: 'over-word', text: ' over' }) : null,
    ),
    h('span', { class: 'meter-track' }, fill),
  );
}
