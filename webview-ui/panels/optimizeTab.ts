import type { Candidate, OptimizeReport } from '../../src/engine/protocol.ts';
import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { bytes, change, fileName, macs, plural, time } from '../format.ts';
import { button } from '../ui/controls.ts';
import { textField } from '../ui/textField.ts';
import { outcomeOf } from './actions.ts';
import { empty } from './parts.ts';

/** "Optimize for device…": tries recipes and shows size, latency, fit and score of each; one click takes one. */
export function createOptimizeTab(app: App): { readonly element: HTMLElement; run(): void } {
  const result = h('div', { class: 'result' });
  const drop = textField({
    label: 'Accuracy drop allowed, percentage points',
    value: '1',
    onInput: () => undefined,
  });
  let shown: { readonly model: string | undefined; readonly device: string | null } | undefined;

  const run = async () => {
    const device = app.document.get()?.device ?? null;
    const maxDrop = Number(drop.get());
    if (device === null) return app.say('Choose a device in the strip above first.', { error: true });
    if (drop.get().trim() === '' || Number.isNaN(maxDrop) || maxDrop < 0 || maxDrop > 100) {
      return app.say('The accuracy drop must be a number from 0 to 100.', { error: true });
    }
    const report = await app.run('Optimize', 'optimize', { device, maxDrop });
    if (report === undefined) return;
    shown = { model: app.document.get()?.model, device };
    result.replaceChildren(candidateTable(app, report));
    app.say(`Optimize: ${plural(report.candidates.length, 'candidate')} for ${report.device}.`);
  };
  const go = button({ text: 'Try recipes', icon: 'rocket', look: 'primary', onClick: () => void run() });
  const pick = button({ text: 'Choose data…', icon: 'database', onClick: () => app.tell('pickData', {}) });
  const data = h('span', { class: 'muted' });
  const showState = () => {
    const state = app.document.get();
    const ready = state?.trusted === true && state.device !== null;
    go.enable(ready && app.job.get() === undefined);
    data.textContent =
      state?.data === null || state?.data === undefined
        ? 'Without data, random inputs are used and agreement is only a hint.'
        : `Data: ${fileName(state.data)}`;
    if (state?.trusted === false)
      result.replaceChildren(
        empty('This workspace is not trusted, so models are shown but not run. Trust it to optimize.'),
      );
    else if (state?.device === null)
      result.replaceChildren(
        empty(
          'Choose the device this model is for in the strip above. Then recipes are tried and compared here.',
        ),
      );
    else if (shown === undefined || shown.model !== state?.model || shown.device !== state?.device) {
      result.replaceChildren(
        empty(
          'Try recipes to see what each one saves on this device and what it costs in accuracy. Nothing is written until you take one.',
        ),
      );
    }
  };
  app.document.watch(showState);
  app.job.onChange(showState);
  const field = h(
    'span',
    { class: 'labelled small-field' },
    h('span', { class: 'muted', text: 'Drop allowed (points)' }),
    drop.element,
  );
  const element = h(
    'div',
    { class: 'tab-body' },
    h('div', { class: 'toolbar' }, go.element, field, pick.element, data),
    result,
  );
  return { element, run: () => void run() };
}

const numericHeads = new Set([
  'File',
  'Compressed',
  'Work',
  'Measured here',
  'On the device',
  'RAM',
  'Accuracy',
  'Agreement',
  'Score',
]);

function candidateTable(app: App, report: OptimizeReport): HTMLElement {
  const { baseline, candidates, pareto, chosen } = report;
  const head = [
    'Recipe',
    // What a person decides on and acts with stays in sight in a narrow pane.
    '',
    'File',
    scoreTitle(baseline),
    'On the device',
    'RAM',
    'Fits',
    'Measured here',
    'Compressed',
    'Work',
  ];
  const best = new Set(pareto);
  const row = (candidate: Candidate, i: number | undefined) => {
    const marks = [
      i === undefined ? '' : i === chosen ? 'recommended' : best.has(i) ? 'best of its kind' : '',
    ].filter(Boolean);
    const cell = (value: number | null, from: number | null, format: (value: number | null) => string) =>
      h(
        'td',
        { class: 'numeric' },
        format(value),
        i === undefined ? null : h('span', { class: 'muted', text: ` ${change(from, value)}` }),
      );
    if (candidate.failure !== undefined) {
      return h(
        'tr',
        {},
        h('td', {}, h('b', { text: candidate.title })),
        h('td', { class: 'muted', text: candidate.failure, attributes: { colspan: 9 } }),
      );
    }
    return h(
      'tr',
      { class: i !== undefined && i === chosen ? 'chosen' : '' },
      h(
        'td',
        {},
        h('b', { text: candidate.title }),
        ...marks.map((text) => h('span', { class: 'tag', text })),
      ),
      h('td', { class: 'row-buttons' }, i === undefined ? null : takeButtons(app, candidate)),
      cell(candidate.fileBytes, baseline.fileBytes, bytes),
      h('td', {
        class: 'numeric',
        text: candidate.score === null ? 'unknown' : `${(candidate.score * 100).toFixed(1)} %`,
      }),
      cell(candidate.latencyMs, baseline.latencyMs, time),
      cell(candidate.ramBytes, baseline.ramBytes, bytes),
      h('td', {
        text: fitWords(candidate.fits),
      }),
      cell(candidate.measuredMs, baseline.measuredMs, time),
      cell(candidate.compressedBytes, baseline.compressedBytes, bytes),
      cell(candidate.macs, baseline.macs, macs),
    );
  };
  return h(
    'div',
    { class: 'scroll', attributes: { tabindex: 0, role: 'region', 'aria-label': 'Candidates' } },
    h('p', { class: 'muted', text: `${report.reason}${dataOf(app, report)}` }),
    h(
      'table',
      { class: 'candidates' },
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          ...head.map((text) =>
            h(
              'th',
              { class: numericHeads.has(text) ? 'numeric' : '', attributes: { scope: 'col' } },
              text === '' ? h('span', { class: 'hidden-text', text: 'Take it' }) : text,
            ),
          ),
        ),
      ),
      h('tbody', {}, row(baseline, undefined), ...candidates.map((candidate, i) => row(candidate, i))),
    ),
  );
}

/** A board with storage instead of flash has no limit to fit into. */
function fitWords({ flash, ram }: Candidate['fits']): string {
  if (flash === ram) return flash;
  if (flash === 'unknown') return `RAM ${ram}`;
  return ram === 'unknown' ? `flash ${flash}` : `flash ${flash}, RAM ${ram}`;
}

/** What judged the candidates, where it is not what the line above names anyway. */
function dataOf(app: App, { data }: OptimizeReport): string {
  const known = app.document.get()?.data;
  return known != null && fileName(known) === fileName(data) ? '' : ` Data: ${fileName(data)}.`;
}

function scoreTitle({ scoreKind }: Candidate): string {
  return scoreKind === 'top1' ? 'Accuracy' : scoreKind === 'agreement' ? 'Agreement' : 'Score';
}

function takeButtons(app: App, candidate: Candidate): HTMLElement {
  const steps = { title: candidate.title, steps: candidate.recipe };
  const take = async () => {
    const report = await app.run(candidate.title, 'applyRecipe', steps);
    if (report !== undefined) app.say(`${candidate.title}: ${outcomeOf(report)}`);
  };
  const write = async () => {
    const written = await app.run(`Write ${candidate.title}`, 'writeCandidate', steps);
    if (written !== undefined)
      app.say(`Written: ${written.model} (${bytes(written.fileBytes)}) and ${written.recipe}.`);
  };
  return h(
    'span',
    {},
    button({ text: 'Apply', title: 'Apply these steps as one undoable edit', onClick: () => void take() })
      .element,
    button({
      text: 'Write file',
      title: 'Write this model beside the original, with its recipe',
      onClick: () => void write(),
    }).element,
  );
}
