import type { Storage } from './storage.ts';

/** `out = a + sign * b`, all in codes. */
interface CodeSum {
  readonly a: Storage;
  readonly b: Storage;
  readonly out: Storage;
  readonly sign: 1 | -1;
}

type Point = readonly [number, number];
/** Points with `x * normal[0] + y * normal[1] >= from`. */
interface HalfPlane {
  readonly normal: Point;
  readonly from: number;
}

/** How far from a tie every sum should lie, in steps: floats near 128 lie 2^-17 to 2^-16 apart. */
const margins = [2 ** -13, 2 ** -14, 2 ** -15, 2 ** -16, 2 ** -17];
/** How far a ratio of scales may move, relative to the larger one. */
const reach = 1e-4;

/**
 * Scales for the inputs of a sum, next to their own, with which floats give the codes that LiteRT's integer kernel gives
 * for all 65,536 pairs: sums that lie as close to a tie as floats are apart are moved to its side. `undefined` when there
 * are none, as with scales whose sums are ties exactly.
 */
export function tieSafeScales(sum: CodeSum): Point | undefined {
  const out = scaleOf(sum.out);
  const ratios: Point = [scaleOf(sum.a) / out, (sum.sign * scaleOf(sum.b)) / out];
  const span = reach * Math.max(...ratios.map(Math.abs));
  const square: readonly Point[] = [
    [ratios[0] - span, ratios[1] - span],
    [ratios[0] + span, ratios[1] - span],
    [ratios[0] + span, ratios[1] + span],
    [ratios[0] - span, ratios[1] + span],
  ];
  const sides = nearTies(sum, ratios, 2 * 255 * span + (margins[0] as number));
  for (const margin of margins) {
    let region = square;
    for (const { normal, from } of sides) {
      region = clipped(region, { normal, from: from + margin });
      if (region.length === 0) break;
    }
    const mean = (place: 0 | 1) => region.reduce((total, point) => total + point[place], 0) / region.length;
    if (region.length > 0) return [mean(0) * out, mean(1) * out * sum.sign];
  }
  return undefined;
}

/** On which side of a tie the ratios have to keep each sum that lies near it. */
function nearTies(sum: CodeSum, ratios: Point, near: number): readonly HalfPlane[] {
  const rounded = fixedPointSum(sum);
  const [zeroA, zeroB, zeroOut] = [zeroOf(sum.a), zeroOf(sum.b), zeroOf(sum.out)];
  const found: HalfPlane[] = [];
  for (let a = -zeroA; a <= 255 - zeroA; a += 1)
    for (let b = -zeroB; b <= 255 - zeroB; b += 1) {
      const exact = a * ratios[0] + b * ratios[1];
      const tie = Math.floor(exact) + 0.5;
      if (Math.abs(exact - tie) > near || tie < -zeroOut || tie > 255 - zeroOut) continue;
      found.push(
        rounded(a, b) > tie ? { normal: [a, b], from: tie } : { normal: [0 - a, 0 - b], from: 0 - tie },
      );
    }
  return found;
}

/**
 * The sum of codes above their zeros as XNNPACK computes it (qs8-vadd): factors of 21 bits, halves up. It agrees with
 * LiteRT 2.5.3 on all pairs of the residual sums of the networks that were tried.
 */
export function fixedPointSum({ a, b, out, sign }: CodeSum): (a: number, b: number) => number {
  const ratios = [a, b].map((each) => Math.fround(scaleOf(each) / scaleOf(out)));
  const shift = 20 - Math.floor(Math.log2(Math.max(...ratios)));
  const [factorA, factorB] = ratios.map((ratio) => roundedToEven(ratio * 2 ** shift)) as [number, number];
  return (x, y) => Math.floor((x * factorA + sign * y * factorB) / 2 ** shift + 0.5);
}

function roundedToEven(value: number): number {
  const whole = Math.round(value);
  return Math.abs(value % 1) === 0.5 && whole % 2 !== 0 ? whole - 1 : whole;
}

/** The part of a convex polygon that lies in a half plane (Sutherland and Hodgman, 1974). */
function clipped(polygon: readonly Point[], { normal, from }: HalfPlane): readonly Point[] {
  const inside = (point: Point) => point[0] * normal[0] + point[1] * normal[1] - from;
  if (polygon.every((point) => inside(point) >= 0)) return polygon;
  const kept: Point[] = [];
  polygon.forEach((end, i) => {
    const start = polygon.at(i - 1) as Point;
    const [s, e] = [inside(start), inside(end)];
    if (s < 0 !== e < 0) {
      const part = s / (s - e);
      kept.push([start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1])]);
    }
    if (e >= 0) kept.push(end);
  });
  return kept;
}

const scaleOf = ({ quantization }: Storage) => quantization.scale[0] as number;
const zeroOf = ({ quantization }: Storage) => quantization.zeroPoint[0] ?? 0;
