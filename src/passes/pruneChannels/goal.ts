import { analyse } from '../../analysis/analyse.ts';
import { estimateOn } from '../../devices/estimate.ts';
import type { DeviceProfile } from '../../devices/profile.ts';
import { builtinDevices, deviceById } from '../../devices/registry.ts';
import { targetFor, targetNames, targetOfDevice } from '../../devices/targets/registry.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Model } from '../../ir/model.ts';
import type { OptionValues } from '../pass.ts';
import type { Options } from '../support/options.ts';
import type { Pacing } from './cost.ts';
import { timeCostOf } from './cost.ts';

/** Where the model is to run: devices by id, and targets where the device is not known. */
export const places: readonly string[] = [
  'auto',
  ...new Set([...builtinDevices.map(({ id }) => id), ...targetNames]),
];

/** What one round has to reach, counted from the model as it was given. */
export interface Goal {
  readonly ratio: number;
  readonly macs?: number;
  readonly bytes?: number;
  /** Milliseconds of `pacing`. */
  readonly time?: number;
  /** Whether the time is a preference only. */
  readonly mayMiss?: boolean;
}

/** What a person asked for. */
export interface Wish {
  readonly ratio: number;
  readonly macs: number;
  readonly size: number;
  /** A share, or milliseconds; `undefined` when the time follows the MACs. */
  readonly latency: { readonly share: number } | { readonly ms: number } | undefined;
  readonly pacing: Pacing;
}

/** Of targets whose kernels are not known. */
const commonBlocks = { outputs: 4, inputs: 4 };

/** Throws `KerfError('bad-option')` for a latency that is none, or a device that cannot tell one. */
export function wishOf(model: Model, values: OptionValues, options: Options): Wish {
  const place = options.choice('device');
  const known = deviceById(place);
  const device = known ?? (deviceById('host') as DeviceProfile);
  const name = place === 'auto' || place === 'host' ? defaultTarget(model) : place;
  const target = known?.targets === undefined ? undefined : targetOfDevice(known, model.dialect);
  const rules = known !== undefined && place !== 'host' ? target : targetFor(name, model.dialect);
  const latency = latencyOf(options.text('latency'));
  if (latency !== undefined && 'ms' in latency && (known && predicted(model, { device })) === undefined)
    throw new KerfError(
      'bad-option',
      `latency=${options.text('latency')}: device=${place} has no estimate for this model; give a share`,
    );
  // A budget that was asked for stands in the place of the default one.
  const others = latency !== undefined || (values.size !== undefined && options.number('size') < 1);
  const macs = values.macs === undefined && others ? 1 : options.number('macs');
  const onlyArithmetic = latency === undefined;
  const pacing = { device, blocks: rules?.channels ?? commonBlocks, onlyArithmetic };
  return { ratio: options.number('ratio'), macs, size: options.number('size'), latency, pacing };
}

function defaultTarget(model: Model): string {
  return model.dialect === 'onnx' ? 'x86' : 'xnnpack';
}

function latencyOf(text: string): Wish['latency'] {
  if (text === 'auto' || text === '') return undefined;
  const [, digits = '', unit] = /^([0-9]*\.?[0-9]+)\s*(ms|%)?$/.exec(text) ?? [];
  const number = Number(digits) / (unit === '%' ? 100 : 1);
  if (unit === 'ms' && number > 0) return { ms: number };
  if (unit !== 'ms' && number > 0 && number <= 1) return { share: number };
  throw new KerfError('bad-option', `latency=${text}: expected auto, a share such as 0.6, or such as 2.5 ms`);
}

/** Milliseconds of an inference by the device's estimate; `undefined` when it has none for the model. */
export function predicted(model: Model, { device }: Pick<Pacing, 'device'>): number | undefined {
  return estimateOn(device, model, analyse(model)).latencyMs ?? undefined;
}

/** How much of the ideal speed-up of a MACs budget the time has to show, as it is predicted. */
const followed = 0.9;

/** Targets part of the way; `undefined` when nothing is to go. */
export function goalOf(model: Model, wish: Wish, round: number, rounds: number): Goal | undefined {
  const { ratio, macs, size, latency, pacing } = wish;
  const share = (left: number) => left ** (round / rounds);
  // A ratio, where one is given, stands in the place of the default budget.
  if (ratio > 0) return { ratio: 1 - (1 - ratio) ** (round / rounds) };
  const { totals } = analyse(model);
  const whole = timeCostOf(model, [], pacing)([]);
  const all = latency === undefined ? whole : (predicted(model, pacing) ?? whole);
  const kept = latency === undefined ? macs / followed : 'ms' in latency ? latency.ms / all : latency.share;
  if (macs === 1 && size === 1 && kept >= 1) return undefined;
  // What a call takes beside its layers is there before and after.
  const time = Math.max(0, all * share(kept) - (all - whole));
  return {
    ratio: 0,
    ...(macs < 1 && totals.macs !== undefined && { macs: totals.macs * share(macs) }),
    ...(size < 1 && { bytes: totals.weightBytes * share(size) }),
    ...(kept < 1 && { time, mayMiss: latency === undefined }),
  };
}
