import type { Command } from 'commander';
import type { EvalReport } from '../../engine/protocol.ts';
import { KerfError } from '../../ir/errors.ts';
import { bindings, wholeNumber } from '../arguments.ts';
import type { Bind, Json } from '../flags.ts';
import { bindFlag, jsonFlag } from '../flags.ts';
import { percent, table } from '../format.ts';
import { print } from '../output.ts';
import type { Session } from '../session.ts';

interface Flags extends Json, Bind {
  readonly data?: string;
  readonly reference?: string;
  readonly samples?: number;
}

export function addEvalCommand(program: Command, session: Session): void {
  const { engine, progress } = session;
  program
    .command('eval <model>')
    .description('accuracy against labels, agreement with a reference model')
    .option('--data <file>', 'dataset: *.json, *.npz or a folder of images; without it, seeded random inputs')
    .option('--reference <model>', 'model to compare outputs with; needed where there are no labels')
    .option('--samples <n>', 'use only the first samples', wholeNumber)
    .option(...bindFlag)
    .option(...jsonFlag)
    .action(async (model: string, options: Flags) => {
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
