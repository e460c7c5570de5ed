import type { DeviceProfile, EstimateReport, LayerCost } from '../src/engine/protocol.ts';

/**
 * The roofline model (Williams, Waterman, Patterson: "Roofline: an insightful visual performance model for multicore
 * architectures", CACM 52(4), 2009): what a layer can reach at most is the smaller of the device's arithmetic and of
 * its bandwidth times the layer's arithmetic intensity.
 */

type Precision = 'float32' | 'float16' | 'int8';

/** The two limits of a device in one precision. */
export interface Roof {
  readonly precision: Precision;
  /** Arithmetic of the reference kernel, GFLOP/s; a multiply-add counts as two. */
  readonly gflops: number;
  /** GB/s. */
  readonly bandwidth: number;
}

/** A layer that can be drawn. */
export interface RoofPoint {
  readonly id: string;
  readonly name: string;
  readonly op: string;
  /** FLOP per byte of inputs, outputs and weights. */
  readonly intensity: number;
  /** Estimated GFLOP/s. */
  readonly gflops: number;
  /** Estimated. */
  readonly ms: number;
  readonly bound: 'compute' | 'memory' | 'overhead';
  readonly precision: Precision | null;
}

export interface Roofline {
  readonly roofs: readonly Roof[];
  readonly points: readonly RoofPoint[];
  /** Layers without work, or without time of their own because the runtime folds them into others. */
  readonly idle: number;
  /** Layers whose cost or time is unknown. */
  readonly unknown: number;
}

export function rooflineOf(
  device: DeviceProfile,
  layers: readonly LayerCost[],
  estimate: EstimateReport,
): Roofline {
  const times = new Map(estimate.layers.map((layer) => [layer.id, layer]));
  const points: RoofPoint[] = [];
  let idle = 0;
  let unknown = 0;
  for (const { id, name, op, flops, inputBytes, activationBytes, weightBytes } of layers) {
    const time = times.get(id);
    if (flops === 0 || time?.ms === 0) {
      idle++;
      continue;
    }
    const bytes = (inputBytes ?? Number.NaN) + (activationBytes ?? Number.NaN) + weightBytes;
    const ms = time?.ms ?? Number.NaN;
    const intensity = (flops ?? Number.NaN) / bytes;
    const gflops = (flops ?? Number.NaN) / (ms * 1e6);
    if (time === undefined || !isDrawable(intensity) || !isDrawable(gflops)) {
      unknown++;
      continue;
    }
    points.push({ id, name, op, intensity, gflops, ms, bound: time.bound, precision: time.precision });
  }
  return { roofs: roofsOf(device), points, idle, unknown };
}

function isDrawable(value: number): boolean {
  return Number.isFinite(value) && value > 0;
}

export function roofsOf(device: DeviceProfile): readonly Roof[] {
  return (['float32', 'float16', 'int8'] as const).flatMap((precision) => {
    const profile = device.precisions[precision];
    if (profile === undefined) return [];
    return [
      {
        precision,
        gflops: 2 * profile.gmacsPerSecond,
        bandwidth: (profile.bandwidth ?? device.bandwidth) / 1e9,
      },
    ];
  });
}

/** GFLOP/s that a layer of this intensity can reach at most. */
export function attainable(roof: Roof, intensity: number): number {
  return Math.min(roof.gflops, roof.bandwidth * intensity);
}

/** A logarithmic axis: powers of ten of its ends, and round numbers between them. */
export interface LogAxis {
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly number[];
}

/** An axis with some air around the values; at least a decade, ticks at powers of ten, and at 2 and 5 when few. */
export function logAxis(values: readonly number[]): LogAxis {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    low = Math.min(low, Math.log10(value));
    high = Math.max(high, Math.log10(value));
  }
  const air = Math.max(0.2, (1 - (high - low)) / 2);
  const [from, to] = [low - air, high + air];
  const steps = to - from > 2.5 ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let decade = Math.floor(from); decade <= to; decade++) {
    for (const step of steps) {
      const at = decade + Math.log10(step);
      if (at >= from && at <= to) ticks.push(step * 10 ** decade);
    }
  }
  return { from, to, ticks };
}

/** Where a value lies on the axis, from 0 to 1. */
export function placeOn(axis: LogAxis, value: number): number {
  return (Math.log10(value) - axis.from) / (axis.to - axis.from);
}
