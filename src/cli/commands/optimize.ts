import type { Command } from 'commander';
import { checkOutput } from '../../engine/paths.ts';
import type { Candidate, OptimizeReport } from '../../engine/protocol.ts';
import { bindings, points } from '../arguments.ts';
import type { Bind, Json } from '../flags.ts';
import { bindFlag, jsonFlag } from '../flags.ts';
import { bytes, change, changeOfShare, count, milliseconds, percent, table } from '../format.ts';
import { print } from '../output.ts';
import type { Session } from '../session.ts';

interface Flags extends Json, Bind {
  readonly device: string;
  readonly data?: string;
  readonly maxDrop?: number;
  readonly output: string;
  readonly report?: string;
}

export function addOptimizeCommand(program: Command, session: Session): void {
  const { engine, progress } = session;
  program
    .command('optimize <model>')
    .description('try recipes for a device, measure each, write the best')
    .requiredOption('--device <id>', 'target device')
    .option('--data <file>', 'dataset for calibration and accuracy; without it, seeded random inputs')
    .option('--max-drop <points>', 'accuracy or agreement that may be lost, in percentage points', points)
    .requiredOption('-o, --output <file>', 'where the chosen model goes')
    .option('--report <file>', 'also write the report as Markdown')
    .option(...bindFlag)
    .option(...jsonFlag)
    .action(async (model: string, options: Flags) => {
      const { device, data, maxDrop, output: out, report: reportFile } = options;
      const { handle, format } = await session.openWhole(model);
      checkOutput(out, format);
      if (reportFile !== undefined) checkOutput(reportFile);
      const bind = bindings(options.bind);
      const report = await engine.call(
        'optimize',
        {
          handle,
          device,
          out,
          ...(bind && { bind }),
          ...(data && { data }),
          ...(maxDrop !== undefined && { maxDrop }),
          ...(reportFile && { report: reportFile }),
        },
        progress,
      );
      session.broken = report.chosen === null;
      print(options.json, report, () => optimizeText(report));
    });
}

function optimizeText(report: OptimizeReport): string {
  const cells = (candidate: Candidate, mark: string) => [
    mark,
    candidate.title,
    bytes(candidate.fileBytes),
    bytes(candidate.compressedBytes),
    count(candidate.macs),
    milliseconds(candidate.measuredMs),
    milliseconds(candidate.latencyMs),
    bytes(candidate.ramBytes),
    `${candidate.fits.flash}/${candidate.fits.ram}`,
    candidate.failure === undefined ? percent(candidate.score) : candidate.failure,
  ];
  const score = report.baseline.scoreKind === 'top1' ? 'accuracy' : 'agreement';
  const head = [
    '',
    'recipe',
    'size',
    'compressed',
    'MACs',
    'measured here',
    'on device (est.)',
    'RAM',
    'flash/RAM',
    score,
  ];
  const mark = (index: number) => (index === report.chosen ? '*' : report.pareto.includes(index) ? '+' : '');
  const rows = report.candidates.map((candidate, index) => cells(candidate, mark(index)));
  const lines = [
    `device ${report.device}, data: ${report.data}`,
    table([head, cells(report.baseline, ''), ...rows], [2, 3, 4, 5, 6, 7]),
    '* chosen, + on the Pareto front',
  ];
  const chosen = report.chosen === null ? undefined : report.candidates[report.chosen];
  if (chosen === undefined) return [...lines, '', report.reason, 'Nothing was written.'].join('\n');
  const { baseline } = report;
  const summary = [
    ['wrote', report.out ?? ''],
    ['size', change(baseline.fileBytes, chosen.fileBytes, bytes)],
    ['MACs', change(baseline.macs, chosen.macs, count)],
    ['on device (est.)', change(baseline.latencyMs, chosen.latencyMs, milliseconds)],
    ['measured here', change(baseline.measuredMs, chosen.measuredMs, milliseconds)],
    [score, changeOfShare(baseline.score, chosen.score)],
  ];
  return [...lines, '', report.reason, table(summary)].join('\n');
}
