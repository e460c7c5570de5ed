import type { PageInspect } from '../../src/editor/page/protocol.ts';
import type { EstimateReport } from '../../src/engine/protocol.ts';
import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { bytes, count, digits, grouped, macs, percent, plural, time } from '../format.ts';
import { empty, facts, findingCard, section } from './parts.ts';
import { compressedWords, updateWords } from './shipped.ts';
import { passForm } from './passForm.ts';

/** What there is to say about the whole model; rebuilt when a part of it arrives. */
export function modelSummary(app: App): HTMLElement {
  const numbers = h('div');
  const device = h('div');
  const findings = h('div');
  const passes = h('div');
  const shipped = h('span');
  const update = h('span');
  app.shipped.watch((sizes) => {
    shipped.textContent = compressedWords(sizes);
    update.textContent = updateWords(sizes) ?? 'none: this is the file as it was opened';
    if (sizes.value === undefined || sizes.loading) update.textContent = compressedWords(sizes);
  });
  app.inspect.watch(({ value, error }) =>
    numbers.replaceChildren(
      ...(value === undefined
        ? [h('p', { class: 'muted', text: error ?? 'Reading the model…' })]
        : modelNumbers(value, { shipped, update, edited: (app.document.get()?.steps.length ?? 0) > 0 })),
    ),
  );
  const showDevice = () => {
    const { value, error } = app.estimate.get();
    device.replaceChildren(deviceNumbers(app, value, error));
  };
  app.estimate.watch(showDevice);
  // The device's name may come after the estimate.
  app.devices.watch(showDevice);
  app.document.onChange(showDevice);
  app.findings.watch(({ value, error }) => {
    const list = value?.findings ?? [];
    const cards = list.slice(0, 200).map((finding) => findingCard(app, finding, { withLayer: true }));
    const nothing = empty(
      error ??
        (value === undefined
          ? 'Looking for findings…'
          : (app.document.get()?.device ?? null) === null
            ? 'No findings. Choose a device or set a budget to check against limits.'
            : 'No findings.'),
    );
    findings.replaceChildren(
      section(
        value === undefined ? 'Findings' : plural(list.length, 'finding'),
        { open: true },
        ...(cards.length > 0 ? cards : [nothing]),
      ),
    );
  });
  // Forms keep what was typed into them; only another dataset rewrites their notes.
  let shownFor: unknown;
  const showPasses = () => {
    const list = app.passes.get().value?.passes;
    const data = app.document.get()?.data;
    if (list === undefined || (shownFor === data && passes.hasChildNodes())) return;
    shownFor = data;
    passes.replaceChildren(section('Passes', { open: true }, ...list.map((pass) => passForm(app, pass, {}))));
  };
  app.passes.watch(showPasses);
  app.document.onChange(showPasses);
  return h(
    'div',
    {},
    h('div', { class: 'heading' }, h('h2', { text: 'Model' })),
    numbers,
    device,
    findings,
    passes,
  );
}

/** Filled when they are known. */
interface ShippedCells {
  readonly shipped: HTMLElement;
  readonly update: HTMLElement;
  readonly edited: boolean;
}

function modelNumbers(
  report: PageInspect,
  { shipped, update, edited }: ShippedCells,
): readonly HTMLElement[] {
  const tensors = (list: PageInspect['inputs']) =>
    list.length === 0
      ? 'none'
      : h('div', {}, ...list.map(({ name, type }) => h('div', {}, h('code', { text: name }), ` ${type}`)));
  return [
    facts([
      [
        'Format',
        `${report.format === 'onnx' ? 'ONNX, opset' : 'TFLite, schema'} ${report.opset ?? 'unknown'}`,
      ],
      ...(report.producer === '' ? [] : ([['Made by', report.producer]] as const)),
      ['File', bytes(report.fileBytes)],
      ['Compressed', shipped],
      ...(edited ? ([['Update', update]] as const) : []),
      ['Weights', `${count(report.params)} parameters, ${bytes(report.weightBytes)}`],
      ...(report.sparsity === null ? [] : ([['Zeros', percent(report.sparsity)]] as const)),
      ['Work', macs(report.macs)],
      ['Peak activations', bytes(report.peakActivationBytes)],
      ['Layers', grouped(report.layerCount)],
      ['Inputs', tensors(report.inputs)],
      ['Outputs', tensors(report.outputs)],
      ...(report.freeDimensions.length === 0
        ? []
        : ([['Free dimensions', report.freeDimensions.join(', ')]] as const)),
    ]),
    ...(report.unresolved.length === 0
      ? []
      : [
          section(
            `${plural(report.unresolved.length, 'value')} without a known shape`,
            { open: false },
            ...report.unresolved
              .slice(0, 100)
              .map(({ layer, op, reason }) => h('div', {}, h('code', { text: layer }), ` ${op}: ${reason}`)),
          ),
        ]),
    ...(report.damage.length === 0
      ? []
      : [
          section(
            `${plural(report.damage.length, 'problem')} in the file`,
            { open: true },
            ...report.damage
              .slice(0, 100)
              .map(({ severity, place, message }) =>
                h(
                  'div',
                  { class: severity === 'error' ? 'problem' : '' },
                  h('code', { text: place }),
                  ` ${message}`,
                ),
              ),
          ),
        ]),
  ];
}

/** A board with storage instead of flash has no limit to fit into. */
function fitWords(used: number | null, fit: string): string {
  if (used === null) return 'unknown';
  return fit === 'unknown' ? `${bytes(used)}, no limit known` : `${bytes(used)}, ${fit}`;
}

/** How the latency came about, for people. */
const basisWords: Readonly<Record<string, string>> = {
  table: 'estimated from published measurements',
  calibrated: 'estimated, calibrated with a benchmark',
};

function deviceNumbers(
  app: App,
  estimate: EstimateReport | undefined,
  error: string | undefined,
): HTMLElement {
  const state = app.document.get();
  if (state === undefined || state.device === null) {
    return section(
      'Device',
      { open: true },
      empty('Choose a device in the strip above to see whether the model fits and how long it takes there.'),
    );
  }
  if (estimate === undefined)
    return section('Device', { open: true }, h('p', { class: 'muted', text: error ?? 'Estimating…' }));
  const name =
    app.devices.get().value?.devices.find(({ id }) => id === estimate.device)?.name ?? estimate.device;
  const range =
    estimate.latencyRangeMs === null
      ? ''
      : `, between ${time(estimate.latencyRangeMs[0])} and ${time(estimate.latencyRangeMs[1])}`;
  return section(
    name,
    { open: true },
    facts([
      ['Latency', `${time(estimate.latencyMs)}${range} (${basisWords[estimate.basis] ?? estimate.basis})`],
      [
        'Energy',
        estimate.energyMj === null
          ? 'unknown'
          : `${digits(estimate.energyMj)} mJ per inference${estimate.energyScope === null ? '' : ` (${estimate.energyScope})`}`,
      ],
      ['Flash', fitWords(estimate.flashBytes, estimate.fits.flash)],
      ['RAM', fitWords(estimate.ramBytes, estimate.fits.ram)],
      ...(estimate.unsupported.length === 0
        ? []
        : ([
            ['Unsupported', estimate.unsupported.map(({ op, layer }) => `${op} (${layer})`).join(', ')],
          ] as const)),
    ]),
    ...estimate.notes.map((text) => h('p', { class: 'muted', text })),
  );
}
