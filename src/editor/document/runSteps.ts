import type { CallOptions, Handle } from '../../engine/protocol.ts';
import type { ApplyReport } from '../../engine/answers.ts';
import type { RecipeStep } from '../../passes/pass.ts';
import type { EngineService } from '../engineService.ts';

interface StepsRun {
  readonly reports: readonly ApplyReport[];
  readonly handle: Handle;
  /** The steps that changed something; the others are left out of the history. */
  readonly done: readonly RecipeStep[];
}

/** Applies steps one after another; progress runs over all of them. */
export async function runSteps(
  engine: EngineService,
  from: Handle,
  steps: readonly RecipeStep[],
  options: CallOptions,
): Promise<StepsRun> {
  const reports: ApplyReport[] = [];
  const done: RecipeStep[] = [];
  let handle = from;
  for (const [index, step] of steps.entries()) {
    const onProgress = (fraction: number, message: string): void =>
      options.onProgress?.((index + fraction) / steps.length, message);
    const result = await engine.call('apply', { handle, step }, { ...options, onProgress });
    reports.push(result.report);
    if (result.report.changed.length === 0) continue;
    done.push(step);
    handle = result.handle;
  }
  return { reports, handle, done };
}
