import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, extname, join, relative, sep } from 'node:path';
import { decode as decodeJpeg } from 'jpeg-js';
import { PNG } from 'pngjs';
import { KerfError } from '../../ir/errors.ts';

/** An image with `channels` values per pixel, 0 to 255, rows from the top. */
interface Pixels {
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
  readonly data: Float64Array;
}

const extensions = ['.jpg', '.jpeg', '.png'];

/** Image files below a folder, sorted by path. */
export function imagesIn(folder: string): readonly string[] {
  return filesBelow(folder).filter((file) => extensions.includes(extname(file).toLowerCase()));
}

/** Files that match a pattern with `*`, `**`, `?` and `{a,b}`, relative to `base`, sorted by path. */
export function matchingFiles(base: string, pattern: string): readonly string[] {
  const parts = pattern.split('/');
  const firstWild = parts.findIndex((part) => /[*?{]/.test(part));
  const fixed = parts.slice(0, firstWild === -1 ? parts.length - 1 : firstWild);
  const folder = join(base, ...fixed);
  const wanted = toRegExp(parts.slice(fixed.length).join('/'));
  return filesBelow(folder).filter((file) => wanted.test(relative(folder, file).split(sep).join('/')));
}

function filesBelow(folder: string): readonly string[] {
  let names: string[];
  try {
    names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  } catch (error) {
    throw new KerfError('not-found', `the folder cannot be read: ${(error as Error).message}`, {
      file: folder,
    });
  }
  return names
    .sort()
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile());
}

function toRegExp(pattern: string): RegExp {
  const source = pattern.replaceAll(/\*\*\/|\*|\?|\{[^}]*\}|[.+^${}()|[\]\\]/g, (part) => {
    if (part === '**/') return '(?:.*/)?';
    if (part === '*') return '[^/]*';
    if (part === '?') return '[^/]';
    if (part.startsWith('{')) return `(?:${part.slice(1, -1).split(',').map(escapeRegExp).join('|')})`;
    return `\\${part}`;
  });
  return new RegExp(`^${source}$`, 'i');
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}

/** Name of the folder that an image lies in. */
export function folderOf(file: string): string {
  return basename(dirname(file));
}

/** Decodes a JPEG or PNG file; transparency is dropped, one channel is luma (ITU-R BT.601). */
export function readImage(file: string, channels: 1 | 3): Pixels {
  const { width, height, data } = decode(file);
  const count = width * height;
  const out = new Float64Array(count * channels);
  for (let pixel = 0; pixel < count; pixel += 1) {
    const red = data[pixel * 4] as number;
    const green = data[pixel * 4 + 1] as number;
    const blue = data[pixel * 4 + 2] as number;
    if (channels === 1) out[pixel] = 0.299 * red + 0.587 * green + 0.114 * blue;
    else {
      out[pixel * 3] = red;
      out[pixel * 3 + 1] = green;
      out[pixel * 3 + 2] = blue;
    }
  }
  return { height, width, channels, data: out };
}

function decode(file: string): { width: number; height: number; data: Uint8Array } {
  try {
    const bytes = readFileSync(file);
    // The content decides: files with the wrong extension are common.
    if (bytes[0] === 0x89) return PNG.sync.read(bytes);
    return decodeJpeg(bytes, { useTArray: true, formatAsRGBA: true });
  } catch (error) {
    throw new KerfError('bad-dataset', `not a readable image: ${(error as Error).message}`, { file });
  }
}

/** Bilinear, pixel centres at half integers (as in ONNX `half_pixel` and PIL without antialiasing). */
export function resizeBilinear(
  data: Float64Array,
  from: { readonly height: number; readonly width: number; readonly channels: number },
  height: number,
  width: number,
): Float64Array {
  if (from.height === height && from.width === width) return data;
  const { channels } = from;
  const out = new Float64Array(height * width * channels);
  const rows = taps(from.height, height);
  const columns = taps(from.width, width);
  let target = 0;
  for (const row of rows) {
    for (const column of columns) {
      for (let channel = 0; channel < channels; channel += 1) {
        const at = (y: number, x: number) => data[(y * from.width + x) * channels + channel] as number;
        const top = at(row.low, column.low) * (1 - column.part) + at(row.low, column.high) * column.part;
        const bottom = at(row.high, column.low) * (1 - column.part) + at(row.high, column.high) * column.part;
        out[target] = top * (1 - row.part) + bottom * row.part;
        target += 1;
      }
    }
  }
  return out;
}

/** For each output position: the two input positions and the weight of the second. */
function taps(from: number, to: number): readonly { low: number; high: number; part: number }[] {
  return Array.from({ length: to }, (_, index) => {
    const centre = Math.min(Math.max(((index + 0.5) * from) / to - 0.5, 0), from - 1);
    const low = Math.floor(centre);
    return { low, high: Math.min(low + 1, from - 1), part: centre - low };
  });
}
