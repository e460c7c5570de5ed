import type { Model } from '../ir/model.ts';
import { openDataset } from '../runtime/data/dataset.ts';
import { boundInputs, inputsOf } from '../runtime/modelInputs.ts';

/** Which samples of a dataset judge a result. */
export interface HeldOut {
  /** Samples at the beginning that choices were made by; 0 where there are too few to leave them out. */
  readonly skip: number;
  /** Samples that judge. */
  readonly samples: number;
}

/** Calibration sees the first samples of a dataset, no more than this. */
const calibratedSamples = 512;
/** One in a hundred is one point; fewer cannot tell what is usually asked. */
const fewest = 100;
const most = 1024;

/** The samples behind those that calibration sees, where there are enough of them. */
export function heldOutOf(
  model: Model,
  data: string | undefined,
  bind: Readonly<Record<string, number>> | undefined,
): HeldOut {
  if (data === undefined) return { skip: 0, samples: fewest };
  const { samples } = openDataset(data, boundInputs(inputsOf(model), bind));
  const rest = samples - calibratedSamples;
  return rest >= fewest
    ? { skip: calibratedSamples, samples: Math.min(rest, most) }
    : { skip: 0, samples: Math.min(samples, calibratedSamples) };
}
