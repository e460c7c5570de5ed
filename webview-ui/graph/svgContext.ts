import type { Size } from './camera.ts';

/** The part of a canvas's context that the painter uses, written down as SVG. */
type SvgContext = CanvasRenderingContext2D & {
  /** The document. */
  finish(): string;
};

/** A context that draws into an SVG of this size; text is measured as the canvas measures it. */
export function svgContext({ width, height }: Size): SvgContext {
  const parts: string[] = [];
  const ruler = new OffscreenCanvas(1, 1).getContext('2d');
  let path = '';
  let dash: readonly number[] = [];
  let open = false;
  const paint = (how: string) => {
    const opacity = state.globalAlpha === 1 ? '' : ` opacity="${short(state.globalAlpha)}"`;
    parts.push(`<path d="${path}" ${how}${opacity}/>`);
  };
  const state = {
    fillStyle: '#000',
    strokeStyle: '#000',
    lineWidth: 1,
    lineJoin: 'miter',
    globalAlpha: 1,
    font: '10px sans-serif',
    textAlign: 'left',
    textBaseline: 'alphabetic',
    beginPath: () => void (path = ''),
    moveTo: (x: number, y: number) => void (path += `M${short(x)} ${short(y)}`),
    lineTo: (x: number, y: number) => void (path += `L${short(x)} ${short(y)}`),
    closePath: () => void (path += 'Z'),
    bezierCurveTo: (...points: number[]) => void (path += `C${points.map(short).join(' ')}`),
    arc(x: number, y: number, r: number) {
      // Whole circles are all that the painter draws.
      path += `M${short(x + r)} ${short(y)}a${r} ${r} 0 1 0 ${-2 * r} 0a${r} ${r} 0 1 0 ${2 * r} 0`;
    },
    roundRect(x: number, y: number, w: number, h: number, radius: number | readonly number[]) {
      const [tl = 0, tr = tl, br = tl, bl = tr] = typeof radius === 'number' ? [radius] : radius;
      const corner = (r: number, dx: number, dy: number) =>
        r === 0 ? '' : `a${r} ${r} 0 0 1 ${dx * r} ${dy * r}`;
      path +=
        `M${short(x + tl)} ${short(y)}H${short(x + w - tr)}${corner(tr, 1, 1)}V${short(y + h - br)}` +
        `${corner(br, -1, 1)}H${short(x + bl)}${corner(bl, -1, -1)}V${short(y + tl)}${corner(tl, 1, -1)}Z`;
    },
    fill: () => paint(`fill="${state.fillStyle}"`),
    stroke() {
      const dashes = dash.length === 0 ? '' : ` stroke-dasharray="${dash.join(' ')}"`;
      paint(`fill="none" stroke="${state.strokeStyle}" stroke-width="${short(state.lineWidth)}"${dashes}`);
    },
    fillRect(x: number, y: number, w: number, h: number) {
      const opacity = state.globalAlpha === 1 ? '' : ` opacity="${short(state.globalAlpha)}"`;
      parts.push(
        `<rect x="${short(x)}" y="${short(y)}" width="${short(w)}" height="${short(h)}" fill="${state.fillStyle}"${opacity}/>`,
      );
    },
    fillText(text: string, x: number, y: number) {
      const anchor = state.textAlign === 'center' ? ' text-anchor="middle"' : '';
      const baseline = state.textBaseline === 'middle' ? ' dominant-baseline="central"' : '';
      const opacity = state.globalAlpha === 1 ? '' : ` opacity="${short(state.globalAlpha)}"`;
      parts.push(
        `<text x="${short(x)}" y="${short(y)}" fill="${state.fillStyle}" style="font:${escaped(state.font)}"${anchor}${baseline}${opacity}>${escaped(text)}</text>`,
      );
    },
    measureText(text: string) {
      if (ruler === null) return { width: 6 * text.length };
      ruler.font = state.font;
      return ruler.measureText(text);
    },
    setLineDash: (segments: readonly number[]) => void (dash = segments),
    setTransform(a: number, _b: number, _c: number, d: number, e: number, f: number) {
      if (open) parts.push('</g>');
      parts.push(`<g transform="translate(${short(e)} ${short(f)}) scale(${short(a)} ${short(d)})">`);
      open = true;
    },
    finish() {
      if (open) parts.push('</g>');
      return `<svg xmlns="http://www.w3.org/2000/svg" width="${short(width)}" height="${short(height)}" viewBox="0 0 ${short(width)} ${short(height)}">\n${parts.join('\n')}\n</svg>\n`;
    },
  };
  return state as unknown as SvgContext;
}

function short(value: number): string {
  return String(Math.round(value * 100) / 100);
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
