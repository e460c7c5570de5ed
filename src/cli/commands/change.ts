import type { Command } from 'commander';
import { spanOf } from '../../engine/applyReports.ts';
import type { Candidate, Handle, OptimizeReport, SpeedReport } from '../../engine/protocol.ts';
import type { ApplyReport } from '../../engine/answers.ts';
import { checkOutput } from '../../engine/paths.ts';
import { readAnyRecipe, withDataset } from '../../engine/aeqFiles.ts';
import { stepFromText } from '../../engine/steps.ts';
import { KerfError } from '../../ir/errors.ts';
import type { RecipeStep } from '../../passes/pass.ts';
import { bindings, keyValue, points, repeated } from '../arguments.ts';
import { bytes, change, changeOfShare, count, milliseconds, percent, table } from '../format.ts';
import type { CompressedChange } from '../compressed.ts';
import { compressedChange, compressedFlag, compressedRows, withCompressed } from '../compressed.ts';
import { print } from '../output.ts';
import type { Session } from '../session.ts';

interface Json {
  readonly json?: boolean;
}

interface ApplyFlags extends Json {
  readonly pass?: string;
  readonly set?: Record<string, string>;
  readonly recipe?: string;
  readonly data?: string;
  readonly layer?: string[];
  readonly bind?: Record<string, string>;
  readonly output: string;
  /** Absent: only passes that may make a model slower are timed. */
  readonly measure?: boolean;
  readonly compressed?: boolean;
}

type Applied = ApplyReport & { readonly measured?: SpeedReport };

const jsonFlag = ['--json', 'print one JSON document on stdout'] as const;

/** Commands that write a model. */
export function addChangeCommands(program: Command, session: Session): void {
  const { engine, progress } = session;

  program
    .command('apply <model>')
    .description('apply a pass or a recipe')
    .option('--pass <id>', 'the pass')
    .option('--set <name=value>', 'an option of the pass', keyValue)
    .option('--recipe <file>', 'replay a recipe (*.kerf.json, or one of AI Edge Quantizer)')
    .option('--data <file>', 'calibration dataset')
    .option('--layer <id>', 'only this layer', repeated)
    .option('--bind <name=n>', 'bind a free dimension while calibrating', keyValue)
    .option('--measure', 'time before and after in turns, whatever the pass (quantizing passes always are)')
    .option('--no-measure', 'never time')
    .option(...compressedFlag)
    .requiredOption('-o, --output <file>', 'where the result goes')
    .option(...jsonFlag)
    .action(async (model: string, options: ApplyFlags) => {
      const { steps: planned, notes } = planOf(options, model);
      const bind = bindings(options.bind);
      const steps = bind === undefined ? planned : planned.map((step) => ({ ...step, bind }));
      const { handle, format } = await session.openWhole(model);
      checkOutput(options.output, format);
      const { handle: changed, ...applied } = await applySteps(session, handle, steps, options);
      const sizes = [applied.before.fileBytes, applied.after.fileBytes];
      const shipped = await compressedChange(session, options.compressed, handle, changed, sizes);
      const report = { ...withCompressed(applied, shipped), notes: [...notes, ...applied.notes] };
      print(options.json, report, () => applyText(report, options.output, shipped));
    });

  program
    .command('optimize <model>')
    .description('try recipes for a device, measure each, write the best')
    .requiredOption('--device <id>', 'target device')
    .option('--data <file>', 'dataset for calibration and accuracy; without it, seeded random inputs')
    .option('--max-drop <points>', 'accuracy or agreement that may be lost, in percentage points', points)
    .requiredOption('-o, --output <file>', 'where the chosen model goes')
    .option('--report <file>', 'also write the report as Markdown')
    .option('--bind <name=n>', 'bind a free dimension', keyValue)
    .option(...jsonFlag)
    .action(
      async (
        model: string,
        options: Json & {
          device: string;
          data?: string;
          maxDrop?: number;
          output: string;
          report?: string;
          bind?: Record<string, string>;
        },
      ) => {
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
      },
    );

  program
    .command('convert <model>')
    .description('convert between ONNX and TFLite')
    .requiredOption('-o, --output <file>', 'target: *.onnx or *.tflite')
    .option('--signature <key>', 'of a TFLite model with several: the one to convert')
    .option(...jsonFlag)
    .action(async (model: string, options: Json & { output: string; signature?: string }) => {
      const { handle } = await session.openWhole(model);
      checkOutput(options.output);
      const { output: path, signature } = options;
      const request = { handle, path, ...(signature !== undefined && { signature }) };
      const report = await engine.call('convert', request, progress);
      print(options.json, report, () =>
        [`wrote ${options.output} (${bytes(report.fileBytes)})`, ...report.notes].join('\n'),
      );
    });

  program
    .command('export <model>')
    .description('export costs or a picture of the model')
    .requiredOption('--to <what>', 'csv, text, model-explorer, recipe or aeq (AI Edge Quantizer)')
    .option('--recipe <file>', 'with aeq and recipe: the steps, as if they had been applied to the model')
    .requiredOption('-o, --output <file>', 'where it goes')
    .option(...jsonFlag)
    .action(async (model: string, options: Json & { to: string; output: string; recipe?: string }) => {
      const steps = options.recipe === undefined ? undefined : readAnyRecipe(options.recipe, model).steps;
      const report = await engine.call('export', {
        handle: await session.open(model),
        to: options.to,
        path: options.output,
        ...(steps && { steps }),
      });
      print(options.json, report, () => `wrote ${report.path} (${bytes(report.bytes)})`);
    });
}

/** The steps to apply, and what is to be said about them. */
function planOf(
  options: ApplyFlags,
  model: string,
): { steps: readonly RecipeStep[]; notes: readonly string[] } {
  const { pass, recipe, data } = options;
  if ((pass === undefined) === (recipe === undefined)) {
    throw new KerfError('bad-option', 'apply needs either --pass or --recipe');
  }
  if (pass !== undefined)
    return { steps: [stepFromText(pass, options.set ?? {}, options.layer, data)], notes: [] };
  if (options.set !== undefined || options.layer !== undefined)
    throw new KerfError('bad-option', '--set and --layer go with --pass: a recipe has its own');
  const found = readAnyRecipe(recipe as string, model);
  return { steps: withDataset(found.steps, data), notes: found.notes };
}

/** Applies the steps in order and writes the result; the report spans all of them. */
async function applySteps(
  session: Session,
  start: Handle,
  steps: readonly RecipeStep[],
  { output, measure }: Pick<ApplyFlags, 'output' | 'measure'>,
): Promise<Applied & { readonly handle: Handle }> {
  let handle = start;
  const reports: ApplyReport[] = [];
  for (const step of steps) {
    const applied = await session.engine.call('apply', { handle, step }, session.progress);
    handle = applied.handle;
    reports.push(applied.report);
  }
  await session.engine.call('save', { handle, path: output });
  const report = { ...spanOf(reports), handle };
  const timed = measure ?? (await mayBeSlower(session, steps));
  if (!timed || report.changed.length === 0) return report;
  if (measure === undefined && report.before.fileBytes > largestTimed) {
    return { ...report, notes: [...report.notes, 'not timed, as the model is large (--measure does)'] };
  }
  try {
    const params = { before: start, after: handle };
    return { ...report, measured: await session.engine.call('speed', params, session.progress) };
  } catch (error) {
    if (!KerfError.is(error, 'runtime-refused') && !KerfError.is(error, 'missing-weights')) throw error;
    return { ...report, notes: [...report.notes, `not timed: ${error.message}`] };
  }
}

/** Bytes of a model that is loaded twice without being asked. */
const largestTimed = 256e6;

/** Targets that run the model here, so that timing it says something. */
const here = /^(x86|arm|ort-.*|xnnpack)$/;

async function mayBeSlower({ engine }: Session, steps: readonly RecipeStep[]): Promise<boolean> {
  const { passes } = await engine.call('passes', {});
  const timed = new Set(passes.flatMap((pass) => (pass.mayBeSlower === true ? [pass.id] : [])));
  return steps.some((step) => timed.has(step.pass) && here.test(String(step.options?.['target'] ?? 'x86')));
}

function applyText(report: Applied, out: string, shipped: CompressedChange | undefined): string {
  const rows = [
    ['wrote', out],
    ['size', change(report.before.fileBytes, report.after.fileBytes, bytes)],
    ...compressedRows(shipped),
    ['parameters', change(report.before.params, report.after.params, count)],
    ['MACs', change(report.before.macs, report.after.macs, count)],
    ['layers changed', `${report.changed.length}, in ${report.seconds.toFixed(2)} s`],
  ];
  const { measured } = report;
  if (measured !== undefined) {
    const { beforeMs, afterMs, speedup, runtime } = measured;
    const times = `${milliseconds(beforeMs)} -> ${milliseconds(afterMs)} (${speedup.toFixed(2)} x as fast)`;
    rows.push(['latency here', `${times}, one thread, ${runtime}`]);
    if (measured.slower) rows.push(['WARNING', 'the model is slower than before on this machine']);
    else if (speedup < 0.95)
      rows.push(['WARNING', 'it may be slower than before: runs disagree, the machine is busy (kerf bench)']);
  }
  for (const note of report.notes) rows.push(['note', note]);
  return table(rows);
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
