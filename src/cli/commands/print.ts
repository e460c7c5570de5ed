import type { Command } from 'commander';
import type { Session } from '../session.ts';

export function addPrintCommand(program: Command, session: Session): void {
  const { engine } = session;
  program
    .command('print <model>')
    .description('the text form of the model')
    .action(async (model: string) => {
      const { text } = await engine.call('text', { handle: await session.open(model) });
      process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
    });
}
