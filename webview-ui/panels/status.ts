import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { percent } from '../format.ts';
import { button, progressRing } from '../ui/controls.ts';

/** The line at the bottom: a job with its progress and Cancel, or the last thing that happened. */
export function createStatus(app: App): HTMLElement {
  const words = h('span', { class: 'status-words' });
  const bar = h('div', {
    class: 'status-bar',
    attributes: { role: 'progressbar', 'aria-label': 'Progress' },
  });
  const fill = h('div', { class: 'status-fill' });
  bar.append(fill);
  const cancel = button({ text: 'Cancel', onClick: () => app.job.get()?.cancel?.() });
  const ring = progressRing();
  const live = h('div', { class: 'hidden-text', attributes: { 'aria-live': 'polite' } });
  const element = h('footer', { class: 'status' }, ring, words, bar, cancel.element, live);

  const show = () => {
    const job = app.job.get();
    const { text, error } = app.said.get();
    ring.hidden = bar.hidden = job === undefined;
    cancel.element.hidden = job?.cancel === undefined;
    element.hidden = job === undefined && text === '';
    element.classList.toggle('error', job === undefined && error);
    words.textContent = job === undefined ? text : `${job.title}: ${job.message}`;
    if (job !== undefined) {
      fill.style.width = `${Math.round(job.fraction * 100)}%`;
      bar.setAttribute('aria-valuenow', String(Math.round(job.fraction * 100)));
      bar.title = percent(job.fraction);
    }
  };
  app.job.watch(show);
  app.said.onChange(({ text }) => {
    show();
    live.textContent = text;
  });
  app.heard.onChange((text) => void (live.textContent = text));
  return element;
}
