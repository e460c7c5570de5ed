/** A small chart as an image that Markdown can hold: VS Code's preview shows SVG data and no scripts. */
interface ChartPoint {
  readonly x: number;
  readonly y: number;
  readonly marked?: boolean;
}

const [width, height, margin] = [560, 220, 44];
/** Below the title of the axis. */
const top = 30;

/**
 * Points joined by a line, the marked ones as dots with their values. Grey lines and text read on light and on dark
 * pages alike, because an image does not know the theme.
 */
export function lineChart(
  points: readonly ChartPoint[],
  titles: { readonly x: string; readonly y: string },
  format: { readonly x: (value: number) => string; readonly y: (value: number) => string },
): string {
  const xs = points.map(({ x }) => x);
  const ys = points.map(({ y }) => y);
  const place = (value: number, all: readonly number[], from: number, to: number) => {
    const [low, high] = [Math.min(...all), Math.max(...all)];
    return high === low ? (from + to) / 2 : from + ((value - low) / (high - low)) * (to - from);
  };
  const x = (value: number) => place(value, xs, margin, width - margin).toFixed(1);
  const y = (value: number) => place(value, ys, height - margin, top).toFixed(1);
  const text = (at: string, content: string) =>
    `<text ${at} font-size="11" fill="#808080">${escaped(content)}</text>`;
  const ends = [Math.min(...xs), Math.max(...xs)].map((value, at) =>
    text(
      `x="${x(value)}" y="${height - margin + 16}" text-anchor="${at === 0 ? 'start' : 'end'}"`,
      format.x(value),
    ),
  );
  const levels = [Math.min(...ys), Math.max(...ys)].map((value) =>
    text(`x="${margin - 6}" y="${y(value)}" dy="4" text-anchor="end"`, format.y(value)),
  );
  const dots = points
    .filter(({ marked }) => marked)
    .map((point) => `<circle cx="${x(point.x)}" cy="${y(point.y)}" r="5" fill="#d7603f"/>`);
  const line = points.map((point) => `${x(point.x)},${y(point.y)}`).join(' ');
  const svg = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif">`,
    `<polyline points="${line}" fill="none" stroke="#3f8fd7" stroke-width="2"/>`,
    ...points.map((point) => `<circle cx="${x(point.x)}" cy="${y(point.y)}" r="2.5" fill="#3f8fd7"/>`),
    ...dots,
    ...ends,
    ...levels,
    text(`x="${width / 2}" y="${height - 8}" text-anchor="middle"`, titles.x),
    text(`x="4" y="12"`, titles.y),
    '</svg>',
  ].join('');
  return `![${titles.y} over ${titles.x}](data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')})`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
