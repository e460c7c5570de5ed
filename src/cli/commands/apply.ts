import type { Command } from 'commander';
import { readAnyRecipe, withDataset } from '../../engine/aeqFiles.ts';
import type { ApplyReport } from '../../engine/answers.ts';
import { spanOf } from '../../engine/applyReports.ts';
import { checkOutput } from '../../engine/paths.ts';
import type { Handle, SpeedReport } from '../../engine/protocol.ts';
import { stepFromText } from '../../engine/steps.ts';
import { KerfError } from '../../ir/errors.ts';
import type { RecipeStep } from '../../passes/pass.ts';
import { bindings, keyValue, repeated } from '../arguments.ts';
import type { CompressedChange } from '../compressed.ts';
import { compressedChange, compressedFlag, compressedRows, withCompressed } from '../compressed.ts';
import type { Bind, Json } from '../flags.ts';
import { jsonFlag } from '../flags.ts';
import { bytes, change, count, milliseconds, table } from '../format.ts';
import { print } from '../output.ts';
import type { Session } from '../session.ts';

interface Flags extends Json, Bind {
  readonly pass?: string;
  readonly set?: Record<string, string>;
  readonly recipe?: string;
  readonly data?: string;
  readonly layer?: string[];
  readonly output: string;
  /** Absent: only passes that may make a model slower are timed. */
  readonly measure?: boolean;
  readonly compressed?: boolean;
}

type Applied = ApplyReport & { readonly measured?: SpeedReport };

export function addApplyCommand(program: Command, session: Session): void {
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
    .action(async (model: string, options: Flags) => {
      const { steps: planned, notes } = planOf(options, model);
      const bind = bindings(options.bind);
      const steps = bind === undefined ? planned : planned.map((step) => ({ ...step, bind }));
      const { handle, format } = await session.openWhole(model);
      checkOutput(options.output, format);
      const { handle: changed, ...applied } = await applySteps(session, handle, steps, options);
      const sizes = [applied.before.fileBytes, applied.after.fileBytes];
      const shipped = await compressedChange(session, options.compressed, handle, changed, sizes);
      const report = { ...withCompressed(applied, shipped), notes: [...notes, ...applied.notes] };
      print(options.json, report, () => reportText(report, options.output, shipped));
    });
}

/** The steps to apply, and what is to be said about them. */
function planOf(options: Flags, model: string): { steps: readonly RecipeStep[]; notes: readonly string[] } {
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
  { output, measure }: Pick<Flags, 'output' | 'measure'>,
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

function reportText(report: Applied, out: string, shipped: CompressedChange | undefined): string {
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
