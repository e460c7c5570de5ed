import type { Model } from '../../ir/model.ts';
import type { Tensors } from '../../runtime/runner.ts';

/** What one run gives: the outputs of the last model, all that was fed to it, and of how many samples. */
export type Visit = (tensors: Tensors, feeds: Tensors, samples: number) => void;

/**
 * Runs models over all calibration samples; `part` is the share of the progress this run stands for. With several, each
 * also gets the outputs of the one before it, named `before:` and the output's name.
 */
export type RunSamples = (
  models: readonly [Model, ...Model[]],
  part: readonly [number, number],
  visit: Visit,
) => Promise<void>;

/** What the model after it calls an output. */
export function before(name: string): string {
  return `before:${name}`;
}
