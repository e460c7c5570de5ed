import type { Net } from './builder.ts';

/**
 * Seconds per unit of each term of the latency model, in this order: MAC of a generic, dense 3×3, depthwise and fully
 * connected operator, byte moved, layer, inference.
 */
export type Coefficients = readonly [number, number, number, number, number, number, number];

export interface Sample {
  /** Models with the same name are held out together. */
  readonly model: string;
  readonly net: Net;
  readonly seconds: number;
}

export interface Fit {
  readonly coefficients: Coefficients;
  /** Weight of the prior that predicted held-out models best. */
  readonly ridge: number;
  /** Measured over predicted, for every model while it was held out. */
  readonly heldOut: readonly { readonly model: string; readonly ratio: number }[];
}

const ridges = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3];

/** Fits the model to samples and says how well it predicts models it has not seen (leave one model out). */
export function fit(samples: readonly Sample[], prior: Coefficients): Fit {
  let best: Fit | undefined;
  for (const ridge of ridges) {
    const heldOut = leaveOneOut(samples, prior, ridge);
    const found = { coefficients: solve(samples, prior, ridge), ridge, heldOut };
    if (best === undefined || mape(heldOut) < mape(best.heldOut)) best = found;
  }
  if (best === undefined) throw new Error('no ridge was tried');
  return best;
}

/** Mean absolute error of the prediction, as a share of what was measured. */
export function mape(heldOut: Fit['heldOut']): number {
  if (heldOut.length === 0) return Number.NaN;
  return heldOut.reduce((sum, { ratio }) => sum + Math.abs(1 / ratio - 1), 0) / heldOut.length;
}

/** The factor u for which `share` of the held-out models were within ×/÷ u. */
export function spread(heldOut: Fit['heldOut'], share: number): number {
  const factors = heldOut.map(({ ratio }) => Math.max(ratio, 1 / ratio)).sort((a, b) => a - b);
  return factors[Math.min(factors.length - 1, Math.ceil(share * factors.length) - 1)] ?? Number.NaN;
}

function leaveOneOut(samples: readonly Sample[], prior: Coefficients, ridge: number): Fit['heldOut'] {
  const solved = new Map<string, Coefficients>();
  for (const model of new Set(samples.map((sample) => sample.model))) {
    const rest = samples.filter((sample) => sample.model !== model);
    if (rest.length > 0) solved.set(model, solve(rest, prior, ridge));
  }
  return samples.flatMap(({ model, net, seconds }) => {
    const coefficients = solved.get(model);
    return coefficients === undefined ? [] : [{ model, ratio: seconds / predict(net, coefficients) }];
  });
}

/** Units of each term that a network asks for. */
function featuresOf(net: Net): number[] {
  const sum = [0, 0, 0, 0, 0, 0, 1];
  const index = { generic: 0, dense3x3: 1, depthwise: 2, fullyConnected: 3, other: 0, free: 0 };
  for (const work of net) {
    if (work.class === 'free') continue;
    const at = index[work.class];
    sum[at] = (sum[at] ?? 0) + (work.macs ?? 0);
    sum[4] = (sum[4] ?? 0) + (work.activationBytes ?? 0) + work.weightBytes;
    sum[5] = (sum[5] ?? 0) + 1;
  }
  return sum;
}

export function predict(net: Net, coefficients: readonly number[]): number {
  return featuresOf(net).reduce((sum, amount, index) => sum + amount * (coefficients[index] ?? 0), 0);
}

/**
 * Minimises the squared relative error plus `ridge` times the squared relative distance from the prior, which is first
 * scaled to the samples; every coefficient stays positive. Coordinate descent on a convex problem.
 */
export function solve(samples: readonly Sample[], prior: Coefficients, ridge: number): Coefficients {
  const ratios = samples.map(({ net, seconds }) => seconds / predict(net, prior)).sort((a, b) => a - b);
  const scale = ratios[Math.floor(ratios.length / 2)] ?? 1;
  const rows = samples.map(({ net, seconds }) =>
    featuresOf(net).map((amount, index) => (amount * (prior[index] ?? 0) * scale) / seconds),
  );
  const x = prior.map(() => 1);
  for (let sweep = 0; sweep < 3000; sweep += 1) for (let j = 0; j < x.length; j += 1) step(rows, x, j, ridge);
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0] = x.map(
    (factor, index) => factor * (prior[index] ?? 0) * scale,
  );
  return [a, b, c, d, e, f, g];
}

/** Moves coordinate `j` to its minimum: the derivative of the objective in it is linear. */
function step(rows: readonly number[][], x: number[], j: number, ridge: number): void {
  let gradient = ridge;
  let curvature = ridge;
  for (const row of rows) {
    const value = row[j] ?? 0;
    let rest = 0;
    for (let k = 0; k < x.length; k += 1) if (k !== j) rest += (row[k] ?? 0) * (x[k] ?? 0);
    gradient += value * (1 - rest);
    curvature += value * value;
  }
  x[j] = Math.max(0.02, gradient / curvature);
}
