import type { Calibrator, Pass, RecipeStep } from '../passes/pass.ts';
import type { JobContext } from './context.ts';
import type { Held, ModelStore } from './store.ts';
