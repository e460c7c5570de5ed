import { KerfError } from '../ir/errors.ts';
import { targets } from './targets/registry.ts';
import type { Basis, DeviceProfile, PrecisionProfile } from './profile.ts';

type Check = (value: unknown, place: string) => void;

interface Field {
  readonly check: Check;
  readonly optional?: true;
}

const classes = ['mcu', 'cpu', 'npu', 'gpu', 'host'];
const formats = ['onnx', 'tflite'];
const bases: readonly Basis[] = ['measured', 'calibrated', 'table', 'estimated'];

const positive: Field = { check: number((value) => value > 0, 'a number above 0') };
const notNegative: Field = { check: number((value) => value >= 0, 'a number of at least 0') };
const factor: Field = { check: number((value) => value >= 1, 'a factor of at least 1') };
const text: Field = { check: string((value) => value.length > 0, 'a text that is not empty') };

const precisionFields: Readonly<Record<keyof PrecisionProfile, Field>> = {
  gmacsPerSecond: positive,
  depthwise: positive,
  dense3x3: positive,
  fullyConnected: positive,
  bandwidth: optional(positive),
  opOverhead: optional(notNegative),
  invokeOverhead: optional(notNegative),
  uncertainty: optional(factor),
  activeWatts: optional(positive),
  source: text,
  basis: { check: oneOf(bases) },
};

const deviceFields: Readonly<Record<keyof DeviceProfile, Field>> = {
  id: {
    check: string((value) => /^[a-z0-9][a-z0-9_-]*$/.test(value), 'lower-case letters, digits, - and _'),
  },
  name: text,
  class: { check: oneOf(classes) },
  cpu: text,
  runtime: text,
  threads: { check: number((value) => Number.isInteger(value) && value > 0, 'a whole number above 0') },
  formats: { check: list(oneOf(formats), 1) },
  flashBytes: optional(positive),
  ramBytes: optional(positive),
  precisions: { check: checkPrecisions },
  bandwidth: positive,
  opOverhead: notNegative,
  invokeOverhead: notNegative,
  activeWatts: optional(positive),
  powerScope: optional(text),
  uncertainty: factor,
  unsupported: { check: list(text.check, 0) },
  supported: { check: list(text.check, 1), optional: true },
  targets: { check: list(oneOf(targets.map((each) => each.id)), 1), optional: true },
  integerOnly: { check: boolean },
  staticShapes: { check: boolean, optional: true },
  weightsInFlash: { check: boolean, optional: true },
  onChipBytes: optional(positive),
  streamBandwidth: optional(positive),
  calibrated: { check: boolean, optional: true },
  notes: { check: list(text.check, 0), optional: true },
  source: text,
  sources: { check: checkSources, optional: true },
};

/**
 * Checks the content of a `*.device.json` file against the rules of `schemas/device.schema.json`.
 * Throws `KerfError('malformed')` naming the file and the field.
 */
export function parseDevice(value: unknown, file?: string): DeviceProfile {
  try {
    checkObject(value, deviceFields, '', ['$schema']);
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    throw new KerfError('malformed', error.message, {
      ...(file !== undefined && { file }),
      place: error.place === '' ? 'device profile' : error.place,
    });
  }
  return value;
}

class FieldError extends Error {
  readonly place: string;
  constructor(place: string, message: string) {
    super(message);
    this.place = place;
  }
}

function checkObject(
  value: unknown,
  fields: Readonly<Record<string, Field>>,
  place: string,
  ignored: readonly string[] = [],
): asserts value is DeviceProfile {
  if (!isRecord(value)) throw new FieldError(place, 'is not an object');
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(fields, key) && !ignored.includes(key))
      throw new FieldError(join(place, key), 'is not a field of a device profile');
  }
  for (const [key, field] of Object.entries(fields)) {
    const found = value[key];
    if (found !== undefined) field.check(found, join(place, key));
    else if (field.optional !== true) throw new FieldError(join(place, key), 'is missing');
  }
}

function checkPrecisions(value: unknown, place: string): void {
  if (!isRecord(value)) throw new FieldError(place, 'is not an object');
  const keys = Object.keys(value);
  if (keys.length === 0) throw new FieldError(place, 'has no precision');
  for (const key of keys) {
    if (!['float32', 'float16', 'int8'].includes(key))
      throw new FieldError(join(place, key), 'is not float32, float16 or int8');
    checkObject(value[key], precisionFields, join(place, key));
  }
}

function checkSources(value: unknown, place: string): void {
  if (!isRecord(value)) throw new FieldError(place, 'is not an object');
  for (const [key, source] of Object.entries(value)) text.check(source, join(place, key));
}

function optional(field: Field): Field {
  return { ...field, optional: true };
}

function number(accepts: (value: number) => boolean, wanted: string): Check {
  return (value, place) => {
    if (typeof value !== 'number' || !Number.isFinite(value) || !accepts(value))
      throw new FieldError(place, `is not ${wanted}`);
  };
}

function string(accepts: (value: string) => boolean, wanted: string): Check {
  return (value, place) => {
    if (typeof value !== 'string' || !accepts(value)) throw new FieldError(place, `is not ${wanted}`);
  };
}

function boolean(value: unknown, place: string): void {
  if (typeof value !== 'boolean') throw new FieldError(place, 'is not true or false');
}

function oneOf(choices: readonly string[]): Check {
  return (value, place) => {
    if (typeof value !== 'string' || !choices.includes(value))
      throw new FieldError(place, `is not one of ${choices.join(', ')}`);
  };
}

function list(check: Check, atLeast: number): Check {
  return (value, place) => {
    if (!Array.isArray(value)) throw new FieldError(place, 'is not a list');
    if (value.length < atLeast) throw new FieldError(place, 'is empty');
    value.forEach((item, index) => {
      check(item, `${place}[${index}]`);
    });
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function join(place: string, key: string): string {
  return place === '' ? key : `${place}.${key}`;
}
