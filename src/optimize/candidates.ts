import type { Model } from '../ir/model.ts';
import type { DeviceProfile } from '../devices/profile.ts';
import { targetOfDevice } from '../devices/targets/registry.ts';
import type { OptionValues, RecipeStep } from '../passes/pass.ts';
import { passById } from '../passes/registry.ts';

/** A recipe worth trying, with a name for people. */
export interface CandidatePlan {
  readonly title: string;
  readonly steps: readonly RecipeStep[];
}

interface CandidateOptions {
  /** Dataset path for steps that calibrate; without one they use seeded random inputs. */
  readonly data?: string;
  readonly seed?: number;
  /** Numbers for free dimensions, by name. */
  readonly bind?: Readonly<Record<string, number>>;
  /** Recipes that were made for this model, tried beside the others. */
  readonly more?: readonly CandidatePlan[];
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
  const given = {
    ...(options.data !== undefined && { data: options.data }),
    ...(options.bind !== undefined && { bind: options.bind }),
    seed: options.seed ?? 0,
  };
  // Passes come and go with versions: what this one does not have is not tried.
  const add = (title: string, ...steps: readonly RecipeStep[]) => {
    if (steps.every(({ pass, options: values }) => takes(pass, model, values)))
      plans.push({ title, steps: [...clean, ...steps] });
  };
  const fixed = staticOptions(model, device);
  const calibrated: RecipeStep = { pass: 'quantize-static', options: fixed, ...given };
  const fewerBits: RecipeStep = { ...calibrated, options: { ...fixed, scheme: 'w4a8' } };
  const fewer = (macs: number): RecipeStep => ({ pass: 'prune-channels', options: { macs }, ...given });
  const prune = (sparsity: number): RecipeStep => ({
    pass: 'prune-magnitude',
    options: { sparsity },
    ...given,
  });
  const split: RecipeStep = { pass: 'low-rank', ...given };
  if (takesHalves(device)) add('Float16', { pass: 'fp16' });
  if (takesHybrid(device)) add('Dynamic int8', { pass: 'quantize-dynamic' });
  add('Channels pruned to 75 % of the MACs', fewer(0.75));
  if (device.precisions.int8 !== undefined) {
    add('Static int8', calibrated);
    add('Static int8, ranges of least error', { ...calibrated, options: { ...fixed, ranges: 'mse' } });
    add('Static int8, 4-bit weights', fewerBits);
    add('Static int8, 50 % of the weights zeroed', prune(0.5), calibrated);
    add('Static int8, channels pruned to 75 % of the MACs', fewer(0.75), calibrated);
    add('Static int8, channels pruned to 50 % of the MACs', fewer(0.5), calibrated);
    add('Static int8, layers split to low rank', split, calibrated);
  } else {
    add('50 % of the weights zeroed', prune(0.5));
    add('Channels pruned to 50 % of the MACs', fewer(0.5));
    add('Layers split to low rank', split);
  }
  plans.push(...(options.more ?? []));
  return plans;
}

/** Whether a pass is there for the model, with these values among its choices. */
function takes(id: string, model: Model, values: OptionValues = {}): boolean {
  const pass = passById(id);
  if (pass?.dialects.includes(model.dialect) !== true) return false;
  return Object.entries(values).every(([name, value]) => {
    const option = pass.options.find((each) => each.name === name);
    return option?.type === 'choice' ? option.choices.includes(String(value)) : option !== undefined;
  });
}

function takesHalves(device: DeviceProfile): boolean {
  return !device.integerOnly && device.class !== 'mcu' && !device.unsupported.includes('*:float16');
}

/** Integer weights against float activations: processors have kernels for that, microcontrollers and NPUs do not. */
function takesHybrid(device: DeviceProfile): boolean {
  return device.class === 'cpu' || device.class === 'host';
}

/** The rules of the device's runtime; without any, the form that its processor runs or that converts to what it loads. */
function staticOptions(model: Model, device: DeviceProfile): OptionValues {
  const rules = targetOfDevice(device, model.dialect);
  if (model.dialect === 'tflite')
    return {
      scheme: 'w8a8',
      io: device.integerOnly || device.class === 'mcu' ? 'int8' : 'float',
      ...(rules && { target: rules.id }),
    };
  const signed = device.class !== 'host' || /cortex|arm|oryon|apple/i.test(device.cpu);
  // What is taken for want of rules need not suit kernels that the model will not meet.
  const shapes = rules !== undefined || device.class === 'host' ? {} : { kernelShapes: false };
  return { scheme: 'w8a8', target: rules?.id ?? (signed ? 'arm' : 'x86'), ...shapes };
}

function hasFloatWeights(model: Model): boolean {
  return model.graphs.some((graph) =>
    [...graph.values.values()].some(({ constant }) => {
      if (constant?.dtype !== 'float32' && constant?.dtype !== 'float16') return false;
      return constant.dims.length > 1 && constant.dims.reduce((a, b) => a * b, 1) >= weightElements;
    }),
  );
}
