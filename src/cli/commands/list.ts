import type { Command } from 'commander';
import { checkFolders } from '../../engine/paths.ts';
import { repeated } from '../arguments.ts';
import type { Json } from '../flags.ts';
import { jsonFlag } from '../flags.ts';
import { table } from '../format.ts';
import { print } from '../output.ts';
import type { Session } from '../session.ts';

/** Commands that list what there is: passes, rules, devices. */
export function addListCommands(program: Command, { engine }: Session): void {
  program
    .command('passes')
    .description('every transformation and its options')
    .option(...jsonFlag)
    .action(async (options: Json) => {
      const { passes } = await engine.call('passes', {});
      print(options.json, { passes }, () =>
        table(passes.map((pass) => [pass.id, pass.dialects.join(', '), pass.summary])),
      );
    });

  program
    .command('rules')
    .description('every diagnostic')
    .option(...jsonFlag)
    .action(async (options: Json) => {
      const { rules } = await engine.call('rules', {});
      print(options.json, { rules }, () => table(rules.map((rule) => [rule.id, rule.severity, rule.title])));
    });

  program
    .command('devices')
    .description('device profiles: built-in, and *.device.json of the given folders')
    .option('--folder <path>', 'look for *.device.json there', repeated)
    .option(...jsonFlag)
    .action(async (options: Json & { folder?: string[] }) => {
      checkFolders(options.folder ?? []);
      const { devices } = await engine.call('devices', { folders: options.folder ?? [] });
      print(options.json, { devices }, () =>
        table(devices.map((each) => [each.id, each.class, each.name, each.runtime])),
      );
    });
}
