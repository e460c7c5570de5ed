import type { BenchReport } from '../../src/engine/protocol.ts';
import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { bytes, digits, fileName, percent, time } from '../format.ts';
import { button, checkbox } from '../ui/controls.ts';
import { textField } from '../ui/textField.ts';
import { beforeAfter, empty, facts, link } from './parts.ts';

/** How many layers are listed; the rest is in the table and on the graph. */
const longest = 60;

/** The benchmark: runs the model here, alone or in turns with the original. */
export function createBenchmarkTab(app: App): { readonly element: HTMLElement; run(): void } {
  const runs = textField({ label: 'Runs', value: '50', onInput: () => undefined });
  const threads = textField({ label: 'Threads', value: '1', onInput: () => undefined });
  const original = checkbox({ text: 'Against the original, in alternating runs', value: true });
  const result = h('div', { class: 'result' });
  let shownModel: string | undefined;

  const run = async () => {
    const [n, t] = [Number(runs.get()), Number(threads.get())];
    if (!Number.isInteger(n) || n < 1 || !Number.isInteger(t) || t < 1) {
      return app.say('Runs and threads must be whole numbers from 1 on.', { error: true });
    }
    const edited = (app.document.get()?.steps.length ?? 0) > 0;
    const report = await app.run('Benchmark', 'bench', {
      options: { runs: n, threads: t },
      original: original.get() && edited,
    });
    if (report === undefined) return;
    shownModel = app.document.get()?.model;
    app.measured.set(new Map(report.layers.flatMap(({ id, ms }) => (id === null ? [] : [[id, ms]]))));
    result.replaceChildren(...reportView(app, report));
    app.say(`Benchmark: median ${time(report.latencyMs.median)} over ${report.runs} runs.`);
  };
  const go = button({ text: 'Run benchmark', icon: 'play', look: 'primary', onClick: () => void run() });
  const showState = () => {
    const state = app.document.get();
    go.enable(state?.trusted === true && app.job.get() === undefined);
    if (state?.trusted === false) {
      result.replaceChildren(
        empty('This workspace is not trusted, so models are shown but not run. Trust it to measure.'),
      );
    } else if (shownModel === undefined || shownModel !== state?.model) {
      const again =
        shownModel === undefined
          ? 'Run the benchmark to see latency, memory and the time of every layer on this machine.'
          : 'The model has changed since it was measured. Run the benchmark again.';
      result.replaceChildren(empty(again));
    }
  };
  app.document.watch(showState);
  app.job.onChange(showState);
  const field = (text: string, control: HTMLElement) =>
    h('span', { class: 'labelled small-field' }, h('span', { class: 'muted', text }), control);
  const element = h(
    'div',
    { class: 'tab-body' },
    h(
      'div',
      { class: 'toolbar' },
      go.element,
      field('Runs', runs.element),
      field('Threads', threads.element),
      original.element,
    ),
    result,
  );
  return { element, run: () => void run() };
}

function reportView(app: App, report: BenchReport): readonly HTMLElement[] {
  const { against } = report;
  const row = (
    title: string,
    before: number | undefined,
    after: number,
    format: (value: number | null) => string,
  ) => [title, before === undefined ? format(after) : beforeAfter(before, after, format, 'less')] as const;
  const head = h('p', {
    class: 'muted',
    text: `${report.runtime}, ${report.provider}, ${report.threads} ${report.threads === 1 ? 'thread' : 'threads'}, ${report.runs} runs. Inputs: ${fileName(report.inputs)}.`,
  });
  const speed =
    against === undefined
      ? null
      : h('p', {}, h('b', { text: `${digits(against.speedup)}×` }), ` as fast as the original`);
  return [
    h(
      'div',
      { class: 'columns' },
      h(
        'div',
        {},
        head,
        speed,
        facts([
          row('Median', against?.latencyMs.median, report.latencyMs.median, time),
          row('Fastest', against?.latencyMs.min, report.latencyMs.min, time),
          row('Mean', against?.latencyMs.mean, report.latencyMs.mean, time),
          row('90 of 100 within', against?.latencyMs.p90, report.latencyMs.p90, time),
          row('99 of 100 within', against?.latencyMs.p99, report.latencyMs.p99, time),
          row('Load', against?.loadMs, report.loadMs, time),
          row('Peak memory', against?.peakRssBytes, report.peakRssBytes, bytes),
        ]),
        ...report.fallback
          .slice(0, 20)
          .map(({ id, reason }) => h('p', { class: 'muted', text: `${id}: ${reason}` })),
      ),
      layerBars(app, report),
    ),
  ];
}

function layerBars(app: App, report: BenchReport): HTMLElement {
  if (report.layers.length === 0) return empty('This runtime does not say how long each layer takes.');
  const sorted = [...report.layers].sort((a, b) => b.ms - a.ms);
  const most = sorted[0]!.ms;
  const view = app.graph.get().value;
  // A layer is called what it is called everywhere; what the runtime made of it is told on hover.
  const nameOf = (id: string) => {
    const v = view?.indexOf.get(id);
    return v === undefined ? id : view!.view.strings[view!.view.name[v]!]!;
  };
  const rows = sorted.slice(0, longest).map(({ id, name, ms, share }) => {
    const bar = h('span', { class: 'bar-fill' });
    bar.style.width = `${most === 0 ? 0 : (ms / most) * 100}%`;
    const title =
      id === null
        ? h('span', { text: name })
        : link(
            nameOf(id),
            name === '' ? 'Select this layer' : `Select this layer; its kernel is ${name}`,
            () => app.selection.set({ kind: 'layer', id }),
          );
    return h(
      'div',
      { class: 'bar-row' },
      h('span', { class: 'bar-name' }, title),
      h('span', { class: 'bar-track' }, bar),
      h('span', { class: 'bar-words', text: `${time(ms)} · ${percent(share)}` }),
    );
  });
  const rest = sorted.length - rows.length;
  return h(
    'div',
    { class: 'bars' },
    ...rows,
    rest > 0 ? h('p', { class: 'muted', text: `${rest} faster layers are in the Layers tab.` }) : null,
  );
}
