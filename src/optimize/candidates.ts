import type { Model } from '../ir/model.ts';
import type { DeviceProfile } from '../devices/profile.ts';
import type { OptionValues, RecipeStep } from '../passes/pass.ts';

/** A recipe worth trying, with a name for people. */
export interface CandidatePlan {
  readonly title: string;
  readonly steps: readonly RecipeStep[];
}

export interface CandidateOptions {
  /** Dataset path for steps that calibrate; without one they use seeded random inputs. */
  readonly data?: string;
  readonly seed?: number;
}

/** A constant of fewer elements is a bias or a scale: a model that only has those in float is quantized already. */
const weightElements = 64;

/**
 * The handful of recipes to try for a device, cheapest first: always the exact ones, then what the device's runtime can
 * make use of. An integer-only device gets no float16 and no dynamic quantization, because it could not run them.
 */
export function candidatesFor(
  model: Model,
  device: DeviceProfile,
  options: CandidateOptions = {},
): readonly CandidatePlan[] {
  const clean: readonly RecipeStep[] = [{ pass: 'simplify' }, { pass: 'fuse' }];
  const plans: CandidatePlan[] = [{ title: 'Simplify and fuse', steps: clean }];
  if (!hasFloatWeights(model)) return plans;
  const add = (title: string, ...steps: readonly RecipeStep[]) =>
    plans.push({ title, steps: [...clean, ...steps] });
  const calibrated: RecipeStep = {
    pass: 'quantize-static',
    options: staticOptions(model, device),
    ...(options.data !== undefined && { data: options.data }),
    seed: options.seed ?? 0,
  };
  const prune = (sparsity: number): RecipeStep => ({ pass: 'prune-magnitude', options: { sparsity } });
  if (takesHalves(device)) add('Float16', { pass: 'fp16' });
  if (takesHybrid(device)) add('Dynamic int8', { pass: 'quantize-dynamic' });
  if (device.precisions.int8 !== undefined) {
    add('Static int8', calibrated);
    add('Static int8, 30 % pruned', prune(0.3), calibrated);
    add('Static int8, 50 % pruned', prune(0.5), calibrated);
  } else add('50 % pruned', prune(0.5));
  return plans;
}

function takesHalves(device: DeviceProfile): boolean {
  return !device.integerOnly && device.class !== 'mcu' && !device.unsupported.includes('*:float16');
}

/** Integer weights against float activations: processors have kernels for that, microcontrollers and NPUs do not. */
function takesHybrid(device: DeviceProfile): boolean {
  return device.class === 'cpu' || device.class === 'host';
}

function staticOptions(model: Model, device: DeviceProfile): OptionValues {
  if (model.dialect === 'tflite')
    return { scheme: 'w8a8', io: device.integerOnly || device.class === 'mcu' ? 'int8' : 'float' };
  return { scheme: 'w8a8', target: /cortex|arm|oryon|apple/i.test(device.cpu) ? 'arm' : 'x86' };
}

function hasFloatWeights(model: Model): boolean {
  return model.graphs.some((graph) =>
    [...graph.values.values()].some(({ constant }) => {
      if (constant?.dtype !== 'float32' && constant?.dtype !== 'float16') return false;
      return constant.dims.length > 1 && constant.dims.reduce((a, b) => a * b, 1) >= weightElements;
    }),
  );
}
