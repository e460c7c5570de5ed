import fs from 'node:fs';
import path from 'node:path';
import { checkOutput } from '../../engine/paths.ts';
import type { CallOptions } from '../../engine/protocol.ts';
import { readCheckConfig } from '../../engine/recipeFiles.ts';
import { KerfError } from '../../ir/errors.ts';
import type { OptionValues } from '../../passes/pass.ts';
import { configured, noConfig } from '../../rules/configured.ts';
import { damageFindings } from '../../rules/damage.ts';
import type { Session } from '../session.ts';
import type { Params } from './rpc.ts';
import { isRecord } from './rpc.ts';

/** Asks the person through the client; resolves to false when they decline. */
export type Confirm = (message: string) => Promise<boolean>;

interface Tool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly writes: boolean;
  readonly properties: Readonly<Record<string, object>>;
  readonly required: readonly string[];
  run(input: Input, session: Session, call: CallOptions, confirm: Confirm): Promise<unknown>;
}

/** The arguments of a call, with their types checked on the way. Throws `KerfError('bad-option')`. */
export class Input {
  readonly #values: Params;
  constructor(values: Params) {
    this.#values = values;
  }
  text(name: string): string {
    return this.optionalText(name) ?? fail(`${name} is missing`);
  }
  optionalText(name: string): string | undefined {
    const value = this.#values[name];
    return value === undefined || typeof value === 'string' ? value : fail(`${name} is not a text`);
  }
  optionalNumber(name: string): number | undefined {
    const value = this.#values[name];
    return value === undefined || typeof value === 'number' ? value : fail(`${name} is not a number`);
  }
  flag(name: string): boolean {
    const value = this.#values[name];
    return value === undefined
      ? false
      : typeof value === 'boolean'
        ? value
        : fail(`${name} is not true or false`);
  }
  options(name: string): OptionValues | undefined {
    const value = this.#values[name];
    if (value === undefined) return undefined;
    const plain =
      isRecord(value) && Object.values(value).every((each) => /^(number|boolean|string)$/.test(typeof each));
    return plain ? (value as OptionValues) : fail(`${name} is not an object of numbers, texts and booleans`);
  }
  optionalTexts(name: string): readonly string[] | undefined {
    const value = this.#values[name];
    if (value === undefined) return undefined;
    return Array.isArray(value) && value.every((each) => typeof each === 'string')
      ? value
      : fail(`${name} is not a list of texts`);
  }
}

function fail(message: string): never {
  throw new KerfError('bad-option', message);
}

const text = (description: string) => ({ type: 'string', description });
const model = { path: text('Path of an .onnx or .tflite file.') };
const output = {
  output: text('Where the new model goes; the model itself is not touched.'),
  overwrite: { type: 'boolean', description: 'Replace a file that is there already.' },
};

export const tools: readonly Tool[] = [
  {
    name: 'inspect',
    title: 'Inspect a model',
    description:
      'Format, size, parameters, MACs, peak activation memory, inputs, outputs, and the cost of the heaviest layers. Numbers that are unknown are null. Looks only; nothing is run.',
    writes: false,
    properties: {
      ...model,
      layers: {
        type: 'integer',
        minimum: 0,
        description: 'How many of the heaviest layers to list; 20 when absent.',
      },
    },
    required: ['path'],
    async run(input, session) {
      const handle = await session.open(input.text('path'));
      const { layers, ...report } = await session.engine.call('inspect', { handle });
      const heaviest = [...layers].sort(
        (a, b) => (b.macs ?? 0) - (a.macs ?? 0) || b.weightBytes - a.weightBytes,
      );
      return {
        ...report,
        layerCount: layers.length,
        heaviestLayers: heaviest.slice(0, input.optionalNumber('layers') ?? 20),
      };
    },
  },
  {
    name: 'check',
    title: 'Check a model',
    description:
      'What will hurt when a model runs on a device: rule, severity, layer, message, and the passes with options that fix it, with their predicted gain.',
    writes: false,
    properties: {
      ...model,
      device: text('Device id, as `kerf devices` lists them.'),
      budget: text('A kerf.json with limits, severities and suppressions.'),
    },
    required: ['path'],
    async run(input, session) {
      const file = input.text('path');
      const budget = input.optionalText('budget');
      const device = input.optionalText('device');
      const config = budget === undefined ? noConfig : readCheckConfig(budget);
      const { handle, damage } = await session.opened(file);
      const checked = await session.engine.call('check', {
        handle,
        budget: config.budget,
        ...(device !== undefined && { device }),
      });
      return {
        ...checked,
        findings: configured([...damageFindings(damage), ...checked.findings], config, file),
      };
    },
  },
  {
    name: 'apply',
    title: 'Apply a pass',
    description:
      'Applies one pass to a model and writes the result to another file; returns size, parameters and MACs before and after. `passes` lists what there is.',
    writes: true,
    properties: {
      ...model,
      pass: text("Pass id, as in check's fixes."),
      options: { type: 'object', description: 'Options of the pass.' },
      layers: { type: 'array', items: { type: 'string' }, description: 'Only these layers.' },
      data: text('Dataset for passes that calibrate; seeded random inputs when absent.'),
      ...output,
    },
    required: ['path', 'pass', 'output'],
    async run(input, session, call, confirm) {
      const { handle, format } = await session.openWhole(input.text('path'));
      const out = await outputOf(input, confirm, format);
      const [options, layers, data] = [
        input.options('options'),
        input.optionalTexts('layers'),
        input.optionalText('data'),
      ];
      const step = {
        pass: input.text('pass'),
        ...(options && { options }),
        ...(layers && { layers }),
        ...(data !== undefined && { data }),
      };
      const applied = await session.engine.call('apply', { handle, step }, call);
      await session.engine.call('save', { handle: applied.handle, path: out }, call);
      return { ...applied.report, output: out };
    },
  },
  {
    name: 'passes',
    title: 'List the passes',
    description: 'Every transformation with its options, their ranges and defaults.',
    writes: false,
    properties: {},
    required: [],
    run: (_input, session) => session.engine.call('passes', {}),
  },
  {
    name: 'benchmark',
    title: 'Measure a model',
    description:
      'Runs a model on this machine, in turns with another one when given: latency percentiles, load time, peak memory, time per layer.',
    writes: false,
    properties: {
      ...model,
      against: text('Another model, measured in alternating runs.'),
      runs: { type: 'integer', minimum: 1, maximum: 10_000 },
    },
    required: ['path'],
    async run(input, session, call) {
      const handle = await session.open(input.text('path'));
      const other = input.optionalText('against');
      const runs = input.optionalNumber('runs');
      const against = other === undefined ? {} : { against: await session.open(other) };
      return session.engine.call(
        'bench',
        { handle, ...against, ...(runs !== undefined && { options: { runs } }) },
        call,
      );
    },
  },
  {
    name: 'compare',
    title: 'Compare two models',
    description:
      'Size, parameters and MACs of two models, and which layers differ in operator, attributes, shapes, types, weights, quantization or wiring.',
    writes: false,
    properties: { ...model, other: text('The model to compare with.') },
    required: ['path', 'other'],
    async run(input, session, call) {
      const [a, b] = [await session.open(input.text('path')), await session.open(input.text('other'))];
      return session.engine.call('diff', { a, b }, call);
    },
  },
  {
    name: 'optimize',
    title: 'Optimize for a device',
    description:
      'Tries recipes for a device, measures size, accuracy or agreement and latency, and writes the recommended model with its recipe. Takes minutes.',
    writes: true,
    properties: {
      ...model,
      device: text('Device id.'),
      data: text('Dataset for calibration and scores; seeded random inputs when absent.'),
      maxDrop: {
        type: 'number',
        minimum: 0,
        maximum: 100,
        description: 'Percentage points that may be lost.',
      },
      ...output,
    },
    required: ['path', 'device', 'output'],
    async run(input, session, call, confirm) {
      const { handle, format } = await session.openWhole(input.text('path'));
      const out = await outputOf(input, confirm, format);
      const [data, maxDrop] = [input.optionalText('data'), input.optionalNumber('maxDrop')];
      const more = { ...(data !== undefined && { data }), ...(maxDrop !== undefined && { maxDrop }) };
      return session.engine.call('optimize', { handle, device: input.text('device'), out, ...more }, call);
    },
  },
];

/** The file to write, once it is clear that nothing is lost and the person agrees. */
async function outputOf(input: Input, confirm: Confirm, format: 'onnx' | 'tflite'): Promise<string> {
  const file = path.resolve(input.text('output'));
  checkOutput(file, format);
  if (file === path.resolve(input.text('path')))
    throw new KerfError('bad-option', 'the output is the model itself: choose another file', { file });
  const there = fs.existsSync(file);
  if (there && !input.flag('overwrite'))
    throw new KerfError('bad-option', 'the file exists: choose another one, or set overwrite', { file });
  if (!(await confirm(there ? `Replace ${file}?` : `Write ${file}?`)))
    throw new KerfError('cancelled', 'the person declined to write the file', { file });
  return file;
}
