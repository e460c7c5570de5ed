import { join } from 'node:path';
import type { Calibrator, Pass, RecipeStep } from '../passes/pass.ts';
import { startRunner } from '../runtime/process/launch.ts';
import { createCalibrator } from './calibrator.ts';
import type { JobContext } from './context.ts';
import { forwardProgress } from './context.ts';
import { stateFolder } from './hostDevice.ts';
import type { Held } from './store.ts';

export const defaultSeed = 1;

/** The calibrator that a step's pass needs; `undefined` when it needs none, or could do with data but has none. */
export function calibratorFor(
  held: Held,
  pass: Pass,
  step: RecipeStep,
  job: JobContext,
): Calibrator | undefined {
  if (pass.calibration === 'none' || (pass.calibration === 'optional' && step.data === undefined))
    return undefined;
  return createCalibrator(startRunner, held.model, {
    seed: step.seed ?? defaultSeed,
    cache: join(stateFolder(), 'calibration'),
    ...(step.data !== undefined && { data: step.data }),
    ...(step.bind !== undefined && { bind: step.bind }),
    ...forwardProgress(job),
  });
}

/** What a report has to say of made-up calibration data. */
export function calibrationNotes(calibrator: Calibrator | undefined, step: RecipeStep): string[] {
  if (calibrator === undefined) return [];
  const made = step.data === undefined ? '; the ranges are not those of real data' : '';
  return [`calibrated with ${calibrator.samples} samples of ${calibrator.source}${made}`];
}
