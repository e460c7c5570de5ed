import type { Command } from 'commander';
import { checkOutput } from '../../engine/paths.ts';
import type { Json } from '../flags.ts';
import { jsonFlag } from '../flags.ts';
import { bytes } from '../format.ts';
import { print } from '../output.ts';
import type { Session } from '../session.ts';

export function addConvertCommand(program: Command, session: Session): void {
  const { engine, progress } = session;
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
}
