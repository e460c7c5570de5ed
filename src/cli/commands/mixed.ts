import type { Command } from 'commander';
import { parseLimit } from '../../engine/limits.ts';
import { checkOutput } from '../../engine/paths.ts';
import type { MixedBudget, MixedReport } from '../../engine/protocol.ts';
import { KerfError } from '../../ir/errors.ts';
import { bindings, points, repeated, wholeNumber } from '../arguments.ts';
import { bindFlag, jsonFlag } from '../flags.ts';
import { bytes, change, changeOfShare, milliseconds, percent, table } from '../format.ts';
import { print } from '../output.ts';
import type { Session } from '../session.ts';

interface Flags {
  readonly schemes: string;
  readonly data?: string;
  readonly size?: string;
  readonly latency?: string;
  readonly maxDrop?: number;
  readonly device?: string;
  readonly keep?: string[];
  readonly keepOut: boolean;
  readonly samples?: number;
  readonly bind?: Record<string, string>;
  readonly output?: string;
  readonly recipe?: string;
  readonly json?: boolean;
}

export function addMixedCommand(program: Command, session: Session): void {
  const { engine, progress } = session;
  program
    .command('mixed <model>')
    .description(
      'a precision for each layer under a budget of size, latency or accuracy, and the whole frontier',
    )
    .option('--schemes <list>', 'schemes to choose from, as in sensitivity', 'int8,int4')
    .option('--data <file>', 'dataset; without it, seeded random inputs')
    .option('--size <limit>', 'most bytes of the file (120kB), or a share of the original (0.3)')
    .option('--latency <limit>', 'most estimated time on the device (3ms)')
    .option(
      '--max-drop <points>',
      'most points of accuracy to lose; the smallest file within it is taken',
      points,
    )
    .option('--device <id>', 'device of the latency estimate')
    .option('--keep <id>', 'a layer that stays as it is; may be repeated', repeated)
    .option('--no-keep-out', 'do not leave out heads of detectors by itself')
    .option('--samples <n>', 'samples of the analysis', wholeNumber)
    .option(...bindFlag)
    .option('-o, --output <file>', 'write the model here, its recipe beside it')
    .option('--recipe <file>', 'write the recipe here')
    .option(...jsonFlag)
    .action(async (model: string, flags: Flags) => {
      const { handle, format } = await session.openWhole(model);
      if (flags.output !== undefined) checkOutput(flags.output, format);
      if (flags.recipe !== undefined) checkOutput(flags.recipe);
      const { fileBytes } = await engine.call('inspect', { handle });
      const { data, device, samples, output, recipe, keep } = flags;
      const bind = bindings(flags.bind);
      const report = await engine.call(
        'mixed',
        {
          handle,
          schemes: flags.schemes.split(',').map((each) => each.trim()),
          budget: budgetOf(flags, fileBytes),
          ...(data !== undefined && { data }),
          ...(device !== undefined && { device }),
          ...(samples !== undefined && { samples }),
          ...(bind && { bind }),
          ...(keep && { keep }),
          ...(!flags.keepOut && { keepNone: true }),
          ...(output !== undefined && { out: output }),
          ...(recipe !== undefined && { recipe }),
        },
        progress,
      );
      if (report.chosen === null) session.broken = true;
      print(flags.json, report, () => mixedText(report));
    });
}

function budgetOf({ size, latency, maxDrop }: Flags, fileBytes: number): MixedBudget {
  if ([size, latency, maxDrop].filter((each) => each !== undefined).length !== 1)
    throw new KerfError('bad-option', 'mixed takes one of --size, --latency and --max-drop');
  if (maxDrop !== undefined) return { kind: 'accuracy', drop: maxDrop };
  if (latency !== undefined) return { kind: 'latency', ms: parseLimit('latencyMs', latency) };
  const share = Number(size);
  if (share > 0 && share <= 1) return { kind: 'size', bytes: Math.floor(share * fileBytes) };
  return { kind: 'size', bytes: parseLimit('fileBytes', size ?? '') };
}

function decibels(value: number | null): string {
  return value === null ? 'exact' : `${value.toFixed(1)} dB`;
}

function pointRow(point: MixedReport['frontier'][number], timed: boolean): string[] {
  return [
    bytes(point.fileBytes),
    ...(timed ? [milliseconds(point.latencyMs)] : []),
    decibels(point.predictedSqnrDb),
    Object.entries(point.counts)
      .map(([scheme, count]) => `${count} ${scheme}`)
      .join(', '),
  ];
}

/** How near the frontier comes to a budget that it does not meet. */
function noPlan({ budget, frontier }: MixedReport): string {
  const least = (of: (point: MixedReport['frontier'][number]) => number | null) =>
    frontier.reduce<number | null>((best, point) => smaller(best, of(point)), null);
  if (budget.kind === 'size')
    return `No plan of these schemes fits ${bytes(budget.bytes)}, the smallest takes ${bytes(least(({ fileBytes }) => fileBytes))}`;
  if (budget.kind === 'latency')
    return `No plan of these schemes is estimated at ${milliseconds(budget.ms)}, the fastest at ${milliseconds(least(({ latencyMs }) => latencyMs))}`;
  return `No plan of these schemes loses at most ${budget.drop} points`;
}

function smaller(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}

function mixedText(report: MixedReport): string {
  const { original, chosen, measured, layers, keepOut } = report;
  const timed = report.frontier.some(({ latencyMs }) => latencyMs !== null);
  const head = ['size', ...(timed ? ['estimated'] : []), 'predicted SQNR', 'layers'];
  const lines = [
    `frontier${report.exact ? '' : ' (cut to a resolution)'}, ${report.data}:`,
    table(
      [head, ...report.frontier.map((each) => pointRow(each, timed))],
      head.map((_, column) => column).slice(0, -1),
    ),
    '',
  ];
  if (chosen !== null)
    lines.push(
      table([
        ['layer', 'operator', 'takes'],
        ...layers.map(({ id, op, chosen: scheme }) => [id, op, scheme]),
      ]),
      '',
    );
  for (const { id, reason, applied } of keepOut)
    lines.push(`${applied ? 'left out' : 'consider leaving out'}: ${id} (${reason})`);
  lines.push(...report.notes.map((note) => `note: ${note}`));
  if (chosen === null || measured === null)
    return [...lines, `${noPlan(report)}: nothing was written.`].join('\n');
  const score =
    measured.top1 === undefined
      ? ['agreement', percent(measured.agreement)]
      : ['accuracy', changeOfShare(original.top1 ?? null, measured.top1)];
  const where = report.heldOut ? 'samples that nothing was chosen by' : 'the samples it was chosen by';
  const rows = [
    ...(report.out === null ? [] : [['wrote', report.out]]),
    ['size', change(original.fileBytes, measured.fileBytes, bytes)],
    ['SQNR', `${decibels(chosen.predictedSqnrDb)} predicted, ${decibels(measured.sqnrDb)} measured`],
    [...score, `on ${measured.samples} of ${where}`],
  ];
  return [...lines, table(rows)].join('\n');
}
