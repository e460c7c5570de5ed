import type { Command } from 'commander';
import { readAnyRecipe } from '../../engine/aeqFiles.ts';
import type { Json } from '../flags.ts';
import { jsonFlag } from '../flags.ts';
import { bytes } from '../format.ts';
import { print } from '../output.ts';
import type { Session } from '../session.ts';

export function addExportCommand(program: Command, session: Session): void {
  const { engine } = session;
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
