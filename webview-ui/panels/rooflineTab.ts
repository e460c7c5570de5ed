import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { digits, plural, time } from '../format.ts';
import type { GraphPane } from '../graph/graphPane.ts';
import { type RoofPoint, type Roofline, attainable, rooflineOf } from '../roofline.ts';
import { button } from '../ui/controls.ts';
import { empty } from './parts.ts';
import { createRooflineChart } from './rooflineChart.ts';
import type { Column } from './tableCells.ts';
import { virtualTable } from './virtualTable.ts';

/** Where the layers stand between what the device computes and what its memory delivers; a picture and a table. */
export function createRooflineTab(app: App, graph: GraphPane): HTMLElement {
  let line: Roofline | undefined;
  let asTable = false;
  const pick = ({ id }: RoofPoint) => app.selection.set({ kind: 'layer', id });
  const chart = createRooflineChart({ pick, describe: (point) => describe(point, line) });
  const table = virtualTable<RoofPoint>({
    label: 'Roofline',
    columns: columnsOf(() => line),
    sort: { column: 'ms', down: true },
    onSort: () => undefined,
    onSelect: pick,
    onOpen: ({ id }) => graph.showLayer(id),
  });
  const words = h('span', { class: 'muted roofline-words' });
  const flip = button({
    text: 'As a table',
    icon: 'table',
    onClick() {
      asTable = !asTable;
      flip.setText(asTable ? 'As a picture' : 'As a table');
      show();
    },
  });
  const notice = h('div');
  const element = h(
    'div',
    { class: 'tab-body' },
    h('div', { class: 'toolbar' }, words, flip.element),
    notice,
    chart.element,
    table.element,
  );

  const follow = () => {
    const selection = app.selection.get();
    const id = selection?.kind === 'layer' ? selection.id : undefined;
    const point = line?.points.find((candidate) => candidate.id === id);
    chart.select(point);
    table.select(point);
  };
  const show = () => {
    const found = readRoofline(app);
    line = typeof found === 'string' ? undefined : found.line;
    notice.hidden = typeof found !== 'string';
    notice.replaceChildren(...(typeof found === 'string' ? [empty(found)] : []));
    words.textContent = typeof found === 'string' ? '' : summaryOf(found.line, found.device);
    words.title = words.textContent;
    words.parentElement!.hidden = line === undefined;
    chart.element.hidden = line === undefined || asTable;
    table.element.hidden = line === undefined || !asTable;
    chart.show(line);
    table.setRows(line?.points ?? []);
    follow();
  };
  app.layers.watch(show);
  app.estimate.watch(show);
  app.devices.watch(show);
  app.document.onChange(show);
  app.selection.onChange(follow);
  return element;
}

/** What there is to draw, or what to do next. */
function readRoofline(app: App): { readonly line: Roofline; readonly device: string } | string {
  const state = app.document.get();
  if (state === undefined) return 'The roofline appears here.';
  if (state.device === null) {
    return 'Choose the device this model is for in the strip above. Then every layer stands here below what the device computes and what its memory delivers.';
  }
  const layers = app.layers.get();
  const estimate = app.estimate.get();
  const devices = app.devices.get();
  const failure = layers.error ?? estimate.error ?? devices.error;
  if (failure !== undefined) return failure;
  const device = devices.value?.devices.find(({ id }) => id === state.device);
  if (layers.value === undefined || estimate.value?.device !== state.device || device === undefined) {
    return 'Estimating the layers on this device…';
  }
  if (device.calibrated === false) return estimate.value.notes.join(' ');
  const line = rooflineOf(device, layers.value.layers, estimate.value);
  if (line.points.length > 0) return { line, device: device.name };
  return ['No layer has both known work and an estimated time on this device.', ...estimate.value.notes].join(
    ' ',
  );
}

function summaryOf({ points, roofs, idle, unknown }: Roofline, device: string): string {
  const bound = (kind: RoofPoint['bound']) => points.filter((point) => point.bound === kind).length;
  const above = points.filter((point) => (shareOf(point, roofs) ?? 0) > 1.005).length;
  return [
    `Estimated on ${device}. Layers limited by compute: ${bound('compute')}, memory: ${bound('memory')}, overhead: ${bound('overhead')}.`,
    unknown > 0 ? `Not drawn: ${plural(unknown, 'layer')} of unknown cost.` : '',
    idle > 0 ? `Not drawn: ${plural(idle, 'layer')} without work or time of their own.` : '',
    above > 0 ? `Above their line, with kernels faster than the reference: ${plural(above, 'layer')}.` : '',
  ]
    .filter(Boolean)
    .join(' ');
}

/** Share of what the roof allows at this intensity; unknown without a roof in the layer's precision. */
function shareOf(point: RoofPoint, roofs: Roofline['roofs']): number | undefined {
  const roof = roofs.find(({ precision }) => precision === point.precision);
  return roof === undefined ? undefined : point.gflops / attainable(roof, point.intensity);
}

function describe(point: RoofPoint, line: Roofline | undefined): string {
  const share = shareOf(point, line?.roofs ?? []);
  return [
    `${point.op} ${point.name === '' ? point.id : point.name}`,
    `${digits(point.intensity)} FLOP/byte, ${digits(point.gflops)} GFLOP/s`,
    `${time(point.ms)} estimated, limited by ${boundWords[point.bound]}`,
    share === undefined ? '' : `${Math.round(share * 100)} % of the ${point.precision} line`,
  ]
    .filter(Boolean)
    .join('\n');
}

const boundWords = { compute: 'compute', memory: 'memory', overhead: 'fixed cost per layer' } as const;

function columnsOf(line: () => Roofline | undefined): readonly Column<RoofPoint>[] {
  const share = (point: RoofPoint) => shareOf(point, line()?.roofs ?? []) ?? Number.NaN;
  const number = (
    id: string,
    title: string,
    width: number,
    order: (point: RoofPoint) => number,
    text: (value: number) => string,
  ): Column<RoofPoint> => ({
    id,
    title,
    width,
    numeric: true,
    order,
    text: (point) => text(order(point)),
  });
  return [
    { id: 'op', title: 'Operator', width: 150, grow: 1, text: ({ op }) => op },
    { id: 'name', title: 'Name', width: 170, grow: 3, text: ({ name, id }) => (name === '' ? id : name) },
    { id: 'precision', title: 'Computed in', width: 92, text: ({ precision }) => precision ?? 'unknown' },
    { id: 'bound', title: 'Limited by', width: 140, text: ({ bound }) => boundWords[bound] },
    number('intensity', 'FLOP/byte', 92, ({ intensity }) => intensity, digits),
    number('gflops', 'GFLOP/s', 92, ({ gflops }) => gflops, digits),
    number('share', 'Of the line', 92, share, (value) =>
      Number.isNaN(value) ? 'unknown' : `${Math.round(value * 100)} %`,
    ),
    number('ms', 'Estimated', 92, ({ ms }) => ms, time),
  ];
}
