import type { Command } from 'commander';
import type { BenchReport, EvalReport } from '../../engine/protocol.ts';
import { KerfError } from '../../ir/errors.ts';
import { bindings, keyValue, wholeNumber } from '../arguments.ts';
import { bytes, milliseconds, percent, table } from '../format.ts';
import { print } from '../output.ts';
import type { Session } from '../session.ts';

interface Json {
  readonly json?: boolean;
}

const jsonFlag = ['--json', 'print one JSON document on stdout'] as const;

/** Commands that run the model. */
export function addMeasureCommands(program: Command, session: Session): void {
  const { engine, progress } = session;

  program
    .command('eval <model>')
    .description('accuracy against labels, agreement with a reference model')
    .option('--data <file>', 'dataset: *.json, *.npz or a folder of images; without it, seeded random inputs')
    .option('--reference <model>', 'model to compare outputs with; needed where there are no labels')
    .option('--samples <n>', 'use only the first samples', wholeNumber)
    .option('--bind <name=n>', 'bind a free dimension', keyValue)
    .option(...jsonFlag)
    .action(async (model: string, options: Json & EvalFlags) => {
      if (options.data === undefined && options.reference === undefined)
        throw new KerfError('bad-option', 'eval needs --data with labels, or a --reference to compare with');
      const handle = await session.open(model);
      const reference = options.reference === undefined ? undefined : await session.open(options.reference);
      const { data, samples } = options;
      const bind = bindings(options.bind);
      const report = await engine.call(
        'evaluate',
        {
          handle,
          ...(data && { data }),
          ...(reference && { reference }),
          ...(samples && { samples }),
          ...(bind && { bind }),
        },
        progress,
      );
      print(options.json, report, () => evalText(report));
    });

  program
    .command('bench <model>')
    .description('latency, load time, memory and time per layer on this machine')
    .option('--against <model>', 'measure a second model in alternating runs')
    .option('--runs <n>', 'timed runs', wholeNumber)
    .option('--threads <n>', 'threads', wholeNumber)
    .option('--provider <name>', 'ONNX Runtime execution provider')
    .option('--data <file>', 'take inputs from a dataset')
    .option('--bind <name=n>', 'bind a free dimension', keyValue)
    .option(...jsonFlag)
    .action(async (model: string, options: Json & { against?: string } & BenchFlags) => {
      const handle = await session.open(model);
      const against = options.against === undefined ? undefined : await session.open(options.against);
      const { runs, threads, provider, data } = options;
      const bind = bindings(options.bind);
      const settings = {
        ...(bind && { bind }),
        ...(runs && { runs }),
        ...(threads && { threads }),
        ...(provider && { provider }),
        ...(data && { data }),
      };
      const report = await engine.call(
        'bench',
        { handle, ...(against && { against }), options: settings },
        progress,
      );
      print(options.json, report, () => benchText(report));
    });
}

interface EvalFlags {
  readonly data?: string;
  readonly reference?: string;
  readonly samples?: number;
  readonly bind?: Record<string, string>;
}

interface BenchFlags {
  readonly bind?: Record<string, string>;
  readonly runs?: number;
  readonly threads?: number;
  readonly provider?: string;
  readonly data?: string;
}

function evalText(report: EvalReport): string {
  const rows = [['samples', `${report.samples} of ${report.data}`]];
  if (report.top1 !== undefined) rows.push(['top-1', percent(report.top1)]);
  if (report.top5 !== undefined) rows.push(['top-5', percent(report.top5)]);
  if (report.reference !== undefined) {
    const { agreement, sqnrDb, cosine, klDiv } = report.reference;
    rows.push(['agreement', percent(agreement)]);
    rows.push(['SQNR', sqnrDb === null ? 'outputs are identical' : `${sqnrDb.toFixed(1)} dB`]);
    rows.push(['cosine', cosine.toFixed(6)], ['KL divergence', klDiv.toExponential(3)]);
  }
  for (const note of report.notes ?? []) rows.push(['note', note]);
  return table(rows);
}

function benchText(report: BenchReport): string {
  const { latencyMs } = report;
  const rows = [
    [
      'runtime',
      `${report.runtime}, ${report.provider}, ${report.threads} thread${report.threads === 1 ? '' : 's'}`,
    ],
    ['inputs', report.inputs],
    [
      'latency',
      `median ${milliseconds(latencyMs.median)}, p90 ${milliseconds(latencyMs.p90)}, p99 ${milliseconds(latencyMs.p99)}, min ${milliseconds(latencyMs.min)} (${report.runs} runs)`,
    ],
    ['load', milliseconds(report.loadMs)],
    ['peak memory', bytes(report.peakRssBytes)],
  ];
  if (report.against !== undefined) {
    rows.push([
      'against',
      `median ${milliseconds(report.against.latencyMs.median)}: ${report.against.speedup.toFixed(2)} times as fast`,
    ]);
  }
  for (const each of report.fallback) rows.push(['fallback', `${each.id}: ${each.reason}`]);
  const slowest = [...report.layers].sort((a, b) => b.ms - a.ms).slice(0, 10);
  const layers = slowest.map((layer) => [layer.name, milliseconds(layer.ms), percent(layer.share, 1)]);
  return `${table(rows)}\n\n${table([['layer', 'time', 'share'], ...layers], [1, 2])}`;
}
