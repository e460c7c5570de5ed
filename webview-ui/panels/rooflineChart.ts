import { h, svg } from '../dom.ts';
import { digits } from '../format.ts';
import { type LogAxis, type Roof, type RoofPoint, type Roofline, logAxis, placeOn } from '../roofline.ts';

interface RooflineChart {
  readonly element: HTMLElement;
  show(line: Roofline | undefined): void;
  select(point: RoofPoint | undefined): void;
}

interface Frame {
  readonly width: number;
  readonly height: number;
  readonly x: LogAxis;
  readonly y: LogAxis;
}

const margin = { left: 52, right: 14, top: 18, bottom: 20 };
/** The highest line has its name above it. */
const roomForName = 1.7;
/** Pointer distance, pixels. */
const reach = 14;

/** Both axes are logarithmic; the area of a point is its share of the time. Drawn when it is in sight and has a size. */
export function createRooflineChart(act: {
  readonly pick: (point: RoofPoint) => void;
  readonly describe: (point: RoofPoint) => string;
}): RooflineChart {
  const picture = svg('svg', {
    class: 'roofline-chart',
    role: 'slider',
    tabindex: 0,
    'aria-label':
      'Roofline: estimated throughput of the layers over their arithmetic intensity. The table beside it holds the same as text.',
    'aria-valuemin': 0,
  });
  const tooltip = h('div', { class: 'tooltip', attributes: { role: 'tooltip' } });
  tooltip.hidden = true;
  const element = h('div', { class: 'roofline' }, picture, tooltip);
  let line: Roofline | undefined;
  let order: readonly RoofPoint[] = [];
  let selected: RoofPoint | undefined;
  let frame: Frame | undefined;

  const draw = () => {
    frame = line === undefined ? undefined : frameOf(line, element.clientWidth, element.clientHeight);
    tooltip.hidden = true;
    if (line === undefined || frame === undefined) return;
    picture.setAttribute('viewBox', `0 0 ${frame.width} ${frame.height}`);
    picture.replaceChildren(...gridOf(frame), ...roofsOf(line.roofs, frame), ...pointsOf(order, frame));
    picture.setAttribute('aria-valuemax', String(Math.max(0, order.length - 1)));
    mark();
  };
  const mark = () => {
    picture.querySelector('.roof-point.selected')?.classList.remove('selected');
    const now = selected && picture.querySelector(`.roof-point[data-layer="${CSS.escape(selected.id)}"]`);
    now?.classList.add('selected');
    // Later is on top.
    if (now) picture.append(now);
    picture.setAttribute('aria-valuenow', String(selected === undefined ? 0 : order.indexOf(selected)));
    picture.setAttribute(
      'aria-valuetext',
      selected === undefined ? 'No layer selected' : act.describe(selected).replaceAll('\n', ', '),
    );
  };
  const nearest = (event: MouseEvent): RoofPoint | undefined => {
    if (frame === undefined) return undefined;
    const { left, top } = picture.getBoundingClientRect();
    let best: RoofPoint | undefined;
    let least = reach;
    for (const point of order) {
      const { x, y } = placeOf(point, frame);
      const distance = Math.hypot(x - (event.clientX - left), y - (event.clientY - top));
      if (distance <= least) [best, least] = [point, distance];
    }
    return best;
  };
  picture.addEventListener('mousemove', (event) => {
    const point = nearest(event);
    tooltip.hidden = point === undefined;
    if (point === undefined || frame === undefined) return;
    tooltip.textContent = act.describe(point);
    const { x, y } = placeOf(point, frame);
    const right = x + 12 + tooltip.offsetWidth < frame.width;
    tooltip.style.left = `${right ? x + 12 : Math.max(2, x - 12 - tooltip.offsetWidth)}px`;
    tooltip.style.top = `${Math.max(2, Math.min(y - 10, frame.height - tooltip.offsetHeight - 2))}px`;
  });
  picture.addEventListener('mouseleave', () => void (tooltip.hidden = true));
  picture.addEventListener('click', (event) => {
    const point = nearest(event);
    if (point !== undefined) act.pick(point);
  });
  picture.addEventListener('keydown', (event) => {
    const at = selected === undefined ? -1 : order.indexOf(selected);
    const steps: Readonly<Record<string, number>> = {
      ArrowRight: at + 1,
      ArrowUp: at + 1,
      ArrowLeft: at - 1,
      ArrowDown: at - 1,
      Home: 0,
      End: order.length - 1,
    };
    const next = steps[event.key];
    if (next === undefined || order.length === 0) return;
    event.preventDefault();
    act.pick(order[Math.max(0, Math.min(order.length - 1, next))]!);
  });
  new ResizeObserver(draw).observe(element);

  return {
    element,
    show(next) {
      line = next;
      order = [...(next?.points ?? [])].sort((a, b) => a.intensity - b.intensity);
      draw();
    },
    select(point) {
      selected = point;
      mark();
    },
  };
}

function frameOf({ roofs, points }: Roofline, width: number, height: number): Frame | undefined {
  if (width <= margin.left + margin.right || height <= margin.top + margin.bottom) return undefined;
  const ridges = roofs.map(({ gflops, bandwidth }) => gflops / bandwidth);
  return {
    width,
    height,
    x: logAxis([...points.map(({ intensity }) => intensity), ...ridges]),
    y: logAxis([...points.map(({ gflops }) => gflops), ...roofs.map(({ gflops }) => gflops * roomForName)]),
  };
}

function toX(frame: Frame, intensity: number): number {
  return margin.left + placeOn(frame.x, intensity) * (frame.width - margin.left - margin.right);
}

function toY(frame: Frame, gflops: number): number {
  return (
    frame.height - margin.bottom - placeOn(frame.y, gflops) * (frame.height - margin.top - margin.bottom)
  );
}

function placeOf(point: RoofPoint, frame: Frame): Place {
  return { x: toX(frame, point.intensity), y: toY(frame, point.gflops) };
}

function gridOf(frame: Frame): readonly SVGElement[] {
  const right = frame.width - margin.right;
  const bottom = frame.height - margin.bottom;
  const apart = (ticks: readonly number[], room: number, least: number) =>
    ticks.filter((_, i) => i % Math.max(1, Math.ceil((least * ticks.length) / room)) === 0);
  const middle = (margin.top + bottom) / 2;
  return [
    ...apart(frame.x.ticks, right - margin.left, 44).flatMap((tick) => {
      const x = toX(frame, tick);
      return [
        svg('line', { class: 'roofline-grid', x1: x, x2: x, y1: margin.top, y2: bottom }),
        svg('text', { x, y: bottom + 13, 'text-anchor': 'middle' }, digits(tick)),
      ];
    }),
    ...apart(frame.y.ticks, bottom - margin.top, 16).flatMap((tick) => {
      const y = toY(frame, tick);
      return [
        svg('line', { class: 'roofline-grid', x1: margin.left, x2: right, y1: y, y2: y }),
        svg('text', { x: margin.left - 5, y: y + 4, 'text-anchor': 'end' }, digits(tick)),
      ];
    }),
    svg('rect', {
      class: 'roofline-frame',
      x: margin.left,
      y: margin.top,
      width: right - margin.left,
      height: bottom - margin.top,
    }),
    // Hardly a layer is both: full of arithmetic and slow.
    svg('text', { x: right - 5, y: bottom - 5, 'text-anchor': 'end' }, 'FLOP per byte'),
    svg(
      'text',
      { x: 10, y: middle, 'text-anchor': 'middle', transform: `rotate(-90 10 ${middle})` },
      frame.height > 140 ? 'Estimated GFLOP/s' : 'GFLOP/s',
    ),
  ];
}

function roofsOf(roofs: readonly Roof[], frame: Frame): readonly SVGElement[] {
  const right = frame.width - margin.right;
  const isNear = (gflops: number, y: number) => Math.abs(toY(frame, gflops) - y) < 14;
  return roofs.flatMap((roof, i) => {
    const { precision, gflops, bandwidth } = roof;
    // The slope starts where it enters the picture: at the left or at the bottom.
    const start = Math.max(10 ** frame.x.from, 10 ** frame.y.from / bandwidth);
    const from = { x: toX(frame, start), y: toY(frame, start * bandwidth) };
    const ridge = { x: toX(frame, gflops / bandwidth), y: toY(frame, gflops) };
    return [
      svg('path', { class: `roof ${precision}`, d: `M${from.x} ${from.y}L${ridge.x} ${ridge.y}H${right}` }),
      // Labels of lines close together stand side by side.
      name(`${precision} ${digits(gflops)} GFLOP/s`, {
        x: right - 5 - 150 * roofs.slice(0, i).filter((other) => isNear(other.gflops, ridge.y)).length,
        y: ridge.y - 4,
      }),
      ...slopeName(`${precision} ${digits(bandwidth)} GB/s`, from, ridge, (i + 1) / (roofs.length + 1)),
    ];
  });
}

interface Place {
  readonly x: number;
  readonly y: number;
}

function name(text: string, at: Place): SVGElement {
  return svg('text', { class: 'roof-name', 'text-anchor': 'end', ...at }, text);
}

function slopeName(text: string, from: Place, to: Place, share: number): readonly SVGElement[] {
  if (Math.hypot(to.x - from.x, to.y - from.y) < 220) return [];
  const [x, y] = [from.x + (to.x - from.x) * share, from.y + (to.y - from.y) * share];
  const angle = (Math.atan2(to.y - from.y, to.x - from.x) * 180) / Math.PI;
  const turn = `rotate(${angle} ${x} ${y})`;
  return [svg('text', { class: 'roof-name', 'text-anchor': 'middle', x, y: y - 5, transform: turn }, text)];
}

/** The largest first, so that small ones stay on top. */
function pointsOf(points: readonly RoofPoint[], frame: Frame): readonly SVGElement[] {
  const longest = points.reduce((most, { ms }) => Math.max(most, ms), 0);
  const drawn = [...points].sort((a, b) => b.ms - a.ms);
  return drawn.map((point) => {
    const { x, y } = placeOf(point, frame);
    return svg('circle', {
      class: `roof-point ${point.precision ?? ''}`,
      cx: x,
      cy: y,
      r: 3 + 5 * Math.sqrt(point.ms / longest),
      'data-layer': point.id,
    });
  });
}
