import type { Command } from 'commander';
import { checkOutput } from '../../engine/paths.ts';
import type { SensitivityReport } from '../../engine/protocol.ts';
import { stepFromText } from '../../engine/steps.ts';
import { KerfError } from '../../ir/errors.ts';
import { bindings, keyValue, repeated, wholeNumber } from '../arguments.ts';
import { bindFlag, jsonFlag } from '../flags.ts';
import { percent, table } from '../format.ts';
import { print } from '../output.ts';
import type { Session } from '../session.ts';

interface Flags {
  readonly data?: string;
  readonly scheme?: string;
  readonly pass?: string;
  readonly set?: Record<string, string>;
  readonly layer?: string[];
  readonly method?: string;
  readonly samples?: number;
  readonly exact?: boolean;
  readonly apart?: boolean;
  readonly cumulative?: number;
  readonly bind?: Record<string, string>;
  readonly csv?: string;
  readonly nodeData?: string;
  readonly json?: boolean;
}

const methods: readonly SensitivityReport['method'][] = ['measured', 'gram', 'weights'];

export function addSensitivityCommand(program: Command, { engine, progress, open }: Session): void {
  program
    .command('sensitivity <model>')
    .description('how much each layer alone hurts the output when it is compressed')
    .option('--data <file>', 'dataset; without it, seeded random inputs')
    .option(
      '--scheme <name>',
      'int8, int8-weights, int4, int3, int2, w4a8…, fp16, bf16, float8, or prune and percent (prune50)',
    )
    .option('--pass <id>', 'any pass instead of a scheme')
    .option('--set <name=value>', 'an option of the pass', keyValue)
    .option('--layer <id>', 'only this layer; may be repeated', repeated)
    .option(
      '--method <name>',
      'measured, gram (errors of the layers’ own outputs) or weights (no data)',
      'measured',
    )
    .option('--samples <n>', 'samples of the analysis', wholeNumber)
    .option('--exact', 'every layer on every sample')
    .option('--apart', 'weights and activations by themselves as well')
    .option('--cumulative <points>', 'measure points of the cumulative curve', wholeNumber)
    .option(...bindFlag)
    .option('--csv <file>', 'write the table as CSV')
    .option('--node-data <file>', 'write node data for Model Explorer')
    .option(...jsonFlag)
    .action(async (model: string, flags: Flags) => {
      for (const file of [flags.csv, flags.nodeData]) if (file !== undefined) checkOutput(file);
      const handle = await open(model);
      const report = await engine.call('sensitivity', { handle, ...requestOf(flags) }, progress);
      print(flags.json, report, () => sensitivityText(report));
    });
}

function requestOf(flags: Flags) {
  const { data, scheme, pass, set, layer, samples, exact, apart, cumulative, csv, nodeData } = flags;
  const method = methods.find((each) => each === flags.method);
  if (method === undefined)
    throw new KerfError(
      'bad-option',
      `there is no method '${flags.method}' (there are ${methods.join(', ')})`,
    );
  if (pass === undefined && set !== undefined) throw new KerfError('bad-option', '--set goes with --pass');
  if (pass !== undefined && scheme !== undefined)
    throw new KerfError('bad-option', 'sensitivity takes --scheme or --pass, not both');
  const step = pass === undefined ? undefined : stepFromText(pass, set ?? {}, layer, data);
  const bind = bindings(flags.bind);
  return {
    scheme: pass ?? scheme ?? 'int8',
    method,
    ...(step && { step }),
    ...(step === undefined && layer && { layers: layer }),
    ...(data !== undefined && { data }),
    ...(samples !== undefined && { samples }),
    ...(exact && { exact }),
    ...(apart && { apart }),
    ...(cumulative !== undefined && { cumulative }),
    ...(bind && { bind }),
    ...(csv !== undefined && { csv }),
    ...(nodeData !== undefined && { nodeData }),
  };
}

function decibels(value: number | null | undefined): string {
  return value === undefined ? '' : value === null ? 'exact' : `${value.toFixed(1)} dB`;
}

/** Columns that no layer has a number for are left out. */
function sensitivityText(report: SensitivityReport): string {
  const { layers } = report;
  const columns: readonly (readonly [string, (layer: SensitivityReport['layers'][number]) => string])[] = [
    ['layer', ({ id }) => id],
    ['operator', ({ op }) => op],
    ['SQNR', ({ sqnrDb }) => decibels(sqnrDb)],
    ['agreement', ({ agreement }) => (agreement === undefined ? '' : percent(agreement))],
    ['accuracy', ({ top1 }) => (top1 === undefined ? '' : percent(top1))],
    ['KL', ({ klDiv }) => klDiv?.toExponential(1) ?? ''],
    ['weights alone', ({ weights }) => decibels(weights?.sqnrDb)],
    ['activations alone', ({ activations }) => decibels(activations?.sqnrDb)],
    ['of the weights', ({ weightSqnrDb }) => decibels(weightSqnrDb)],
    ['samples', ({ samples }) => samples?.toString() ?? ''],
  ];
  const shown = columns.filter(([, read]) => layers.some((layer) => read(layer) !== ''));
  const rows = layers.map((layer) => shown.map(([, read]) => read(layer)));
  const right = shown.map((_, at) => at).slice(2);
  return [
    `${report.scheme}, ${report.method}, ${report.samples} samples of ${report.data}`,
    `${costText(report)}`,
    ...rankingText(report),
    table([shown.map(([title]) => title), ...rows], right),
    ...curveText(report),
    ...report.notCovered.map((note) => `not covered: ${note}`),
  ].join('\n');
}

function costText({
  inferences,
  naiveInferences,
  seconds,
  baselineInferenceSeconds,
}: SensitivityReport): string {
  const share =
    naiveInferences === 0 ? '' : `, ${percent(inferences / naiveInferences, 0)} of layers x samples`;
  const one = (baselineInferenceSeconds * 1000).toPrecision(3);
  return `work of ${Math.round(inferences)} inferences (of ${one} ms)${share}, in ${seconds.toFixed(1)} s`;
}

function rankingText({ samples, ranking }: SensitivityReport): string[] {
  if (ranking === undefined || ranking.samples === samples) return [];
  const sure = ranking.expectedCorrelation.toFixed(3);
  return [
    `measured on ${ranking.samples} of the samples: expected rank correlation with the order on all ${sure}`,
  ];
}

function curveText({ cumulative }: SensitivityReport): string[] {
  const measured = cumulative.filter((point) => point.measured !== undefined);
  if (measured.length === 0) return [];
  const rows = measured.map(({ layers, predictedSqnrDb, measured: found }) => [
    String(layers),
    decibels(predictedSqnrDb),
    decibels(found?.sqnrDb),
    percent(found?.agreement),
    found?.top1 === undefined ? '' : percent(found.top1),
  ]);
  const head = ['layers together, least sensitive first', 'predicted', 'measured', 'agreement', 'accuracy'];
  return ['', table([head, ...rows], [0, 1, 2, 3, 4])];
}
