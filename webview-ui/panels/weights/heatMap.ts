import type { ChannelMap } from '../../../src/engine/protocol.ts';
import { h } from '../../dom.ts';
import { digits, percent } from '../../format.ts';
import { onThemeChange, readTheme } from '../../graph/theme.ts';

interface HeatMap {
  readonly element: HTMLElement;
  show(map: ChannelMap): void;
}

/** Height of a row and width of a cell, CSS pixels. */
const least = 3;
const most = 14;

/** Channels as rows, coloured by the mean of each run of their elements; a row that is chosen tells its numbers. */
export function createHeatMap(onChannel: (channel: number) => void): HeatMap {
  const canvas = h('canvas', {
    class: 'heat-map',
    attributes: {
      tabindex: 0,
      role: 'img',
      'aria-label': 'Channel heat map. Arrow keys go from channel to channel.',
    },
  });
  const words = h('div', { class: 'muted heat-words', attributes: { 'aria-live': 'polite' } });
  let shown: ChannelMap | undefined;
  let row = -1;
  const rowHeight = (map: ChannelMap) => Math.max(least, Math.min(most, Math.floor(220 / map.rows)));

  const draw = () => {
    if (shown === undefined) return;
    const { rows, columns, cells } = shown;
    const height = rowHeight(shown);
    const width = Math.max(least, Math.min(most, Math.floor(300 / columns)));
    const ratio = window.devicePixelRatio;
    canvas.style.width = `${columns * width}px`;
    canvas.style.height = `${rows * height}px`;
    canvas.width = columns * width * ratio;
    canvas.height = rows * height * ratio;
    const context = canvas.getContext('2d');
    if (context === null) return;
    context.scale(ratio, ratio);
    const theme = readTheme();
    let largest = 0;
    for (const cell of cells) if (Math.abs(cell) > largest) largest = Math.abs(cell);
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        const value = cells[r * columns + c]!;
        const step = largest === 0 || Number.isNaN(value) ? 0 : Math.round((Math.abs(value) / largest) * 16);
        context.fillStyle = (value < 0 ? theme.coldRamp : theme.strongRamp)[step]!;
        if (step === 0) context.fillStyle = theme.background;
        context.fillRect(c * width, r * height, width, height);
      }
    }
    if (row < 0) return;
    context.strokeStyle = theme.focus;
    context.lineWidth = 2;
    context.strokeRect(1, row * height, columns * width - 2, height);
  };
  const choose = (next: number, tell: boolean) => {
    if (shown === undefined) return;
    row = Math.max(0, Math.min(shown.rows - 1, next));
    words.textContent = rowWords(shown, row);
    draw();
    if (tell) onChannel(row * shown.channelsPerRow);
  };
  canvas.addEventListener('pointermove', (event) => {
    if (shown !== undefined) choose(Math.floor(event.offsetY / rowHeight(shown)), false);
  });
  canvas.addEventListener('click', () => choose(row, true));
  canvas.addEventListener('keydown', (event) => {
    const steps: Readonly<Record<string, number>> = {
      ArrowDown: row + 1,
      ArrowUp: row - 1,
      Home: 0,
      End: 1e9,
    };
    const next = event.key === 'Enter' ? row : steps[event.key];
    if (next === undefined) return;
    event.preventDefault();
    choose(next, event.key === 'Enter');
  });
  onThemeChange(draw);
  return {
    element: h('div', { class: 'heat' }, words, canvas),
    show(map) {
      shown = map;
      row = -1;
      words.textContent = `${map.channels} channels along axis ${map.axis}; brighter is farther from 0.`;
      draw();
    },
  };
}

function rowWords(map: ChannelMap, row: number): string {
  const first = row * map.channelsPerRow;
  const last = Math.min(map.channels, first + map.channelsPerRow) - 1;
  const name = first === last ? `Channel ${first}` : `Channels ${first} to ${last}`;
  const dead = map.zeros[row] === 1 ? ', all zero' : `, ${percent(map.zeros[row]!)} zeros`;
  return `${name}: ${digits(map.min[row]!)} to ${digits(map.max[row]!)}${dead}`;
}
