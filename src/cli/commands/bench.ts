import type { Command } from 'commander';
import type { BenchReport } from '../../engine/protocol.ts';
import { bindings, wholeNumber } from '../arguments.ts';
import type { Bind, Json } from '../flags.ts';
import { bindFlag, jsonFlag } from '../flags.ts';
import { bytes, milliseconds, percent, table } from '../format.ts';
import { print } from '../output.ts';
import type { Session } from '../session.ts';

interface Flags extends Json, Bind {
  readonly against?: string;
  readonly runs?: number;
  readonly threads?: number;
  readonly provider?: string;
  readonly data?: string;
}

export function addBenchCommand(program: Command, session: Session): void {
  const { engine, progress } = session;
  program
    .command('bench <model>')
    .description('latency, load time, memory and time per layer on this machine')
    .option('--against <model>', 'measure a second model in alternating runs')
    .option('--runs <n>', 'timed runs', wholeNumber)
    .option('--threads <n>', 'threads', wholeNumber)
    .option('--provider <name>', 'ONNX Runtime execution provider')
    .option('--data <file>', 'take inputs from a dataset')
    .option(...bindFlag)
    .option(...jsonFlag)
    .action(async (model: string, options: Flags) => {
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
