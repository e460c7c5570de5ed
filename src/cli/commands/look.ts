import type { Command } from 'commander';
import type { DiffReport, EstimateReport, InspectReport } from '../../engine/protocol.ts';
import { checkFolders } from '../../engine/paths.ts';
import { bindings, keyValue, repeated } from '../arguments.ts';
import { bytes, change, count, milliseconds, percent, table } from '../format.ts';
import { print } from '../output.ts';
import type { Session } from '../session.ts';

interface Json {
  readonly json?: boolean;
}

const jsonFlag = ['--json', 'print one JSON document on stdout'] as const;

/** Commands that only look at a model. */
export function addLookCommands(program: Command, session: Session): void {
  const { engine } = session;

  program
    .command('inspect <model>')
    .description('size, parameters, MACs, memory and cost per layer')
    .option('--bind <name=n>', 'bind a free dimension', keyValue)
    .option('--sparsity', 'count zeros even in large models (reads every weight)')
    .option(...jsonFlag)
    .action(async (model: string, options: Json & { bind?: Record<string, string>; sparsity?: boolean }) => {
      const bind = bindings(options.bind);
      const handle = await session.open(model);
      const report = await engine.call('inspect', {
        handle,
        ...(bind && { bind }),
        ...(options.sparsity && { sparsity: true }),
      });
      print(options.json, report, () => inspectText(model, report));
    });

  program
    .command('print <model>')
    .description('the text form of the model')
    .action(async (model: string) => {
      const { text } = await engine.call('text', { handle: await session.open(model) });
      process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
    });

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

  program
    .command('estimate <model>')
    .description('latency, energy, flash and RAM on a device, estimated')
    .requiredOption('--device <id>', 'target device')
    .option('--bind <name=n>', 'bind a free dimension', keyValue)
    .option(...jsonFlag)
    .action(async (model: string, options: Json & { device: string; bind?: Record<string, string> }) => {
      const bind = bindings(options.bind);
      const report = await engine.call('estimate', {
        handle: await session.open(model),
        device: options.device,
        ...(bind && { bind }),
      });
      print(options.json, report, () => estimateText(report));
    });

  program
    .command('diff <a> <b>')
    .description('what differs between two models')
    .option(...jsonFlag)
    .action(async (a: string, b: string, options: Json) => {
      const report = await engine.call('diff', { a: await session.open(a), b: await session.open(b) });
      print(options.json, report, () => diffText(report));
    });
}

function inspectText(file: string, report: InspectReport): string {
  const known = (value: number | null) => value ?? -1;
  const heaviest = [...report.layers]
    .sort((a, b) => known(b.macs) - known(a.macs) || b.weightBytes - a.weightBytes)
    .slice(0, 10);
  const rows = heaviest.map((layer) => [
    layer.id,
    layer.op,
    count(layer.params),
    count(layer.macs),
    bytes(layer.weightBytes),
    bytes(layer.activationBytes),
    layer.outputShapes.join(' '),
  ]);
  const head = ['layer', 'op', 'params', 'MACs', 'weights', 'activations', 'output'];
  const facts = [
    ['file', `${file} (${report.format}, ${report.producer || 'unknown producer'}, version ${report.opset})`],
    ['size', `${bytes(report.fileBytes)}, weights ${bytes(report.weightBytes)}`],
    ['parameters', count(report.params)],
    ['MACs', `${count(report.macs)} (FLOPs ${count(report.flops)})`],
    ['peak activations', bytes(report.peakActivationBytes)],
    ['zero weights', percent(report.sparsity)],
    ['inputs', report.inputs.map((each) => `${each.name}: ${each.type}`).join(', ')],
    ['outputs', report.outputs.map((each) => `${each.name}: ${each.type}`).join(', ')],
    ['layers', `${report.layers.length}, unresolved ${report.unresolved.length}`],
  ];
  if (report.freeDimensions.length > 0) facts.push(['free dimensions', report.freeDimensions.join(', ')]);
  for (const each of report.unresolved.slice(0, 5))
    facts.push(['unresolved', `${each.layer} (${each.op}): ${each.reason}`]);
  for (const each of report.damage) facts.push([each.severity, `${each.place}: ${each.message}`]);
  return `${table(facts)}\n\n${table([head, ...rows], [2, 3, 4, 5])}`;
}

function estimateText(report: EstimateReport): string {
  const range = report.latencyRangeMs?.map((value) => milliseconds(value)).join(' to ') ?? 'unknown';
  const rows = [
    ['device', report.device],
    ['latency', `${milliseconds(report.latencyMs)} (${range}; ${report.basis})`],
    ['energy', energyText(report)],
    ['flash', `${bytes(report.flashBytes)}: ${report.fits.flash}`],
    ['RAM', `${bytes(report.ramBytes)}: ${report.fits.ram}`],
  ];
  for (const each of report.unsupported)
    rows.push(['unsupported', `${each.layer} (${each.op}): ${each.reason}`]);
  for (const note of report.notes) rows.push(['note', note]);
  return table(rows);
}

/** Energy means little without what was measured: the chip, the board or the wall. */
function energyText({ energyMj, energyScope }: EstimateReport): string {
  if (energyMj === null) return 'unknown';
  const scope = energyScope === null ? '' : ` (${energyScope})`;
  return `${Number(energyMj.toPrecision(3))} mJ${scope}`;
}

function diffText(report: DiffReport): string {
  const rows = [
    ['size', change(report.before.fileBytes, report.after.fileBytes, bytes)],
    ['parameters', change(report.before.params, report.after.params, count)],
    ['MACs', change(report.before.macs, report.after.macs, count)],
    [
      'layers',
      `${report.unchanged} unchanged, ${report.changed.length} changed, ${report.added.length} added, ${report.removed.length} removed`,
    ],
  ];
  const changed = report.changed.map((each) => [`~ ${each.id}`, each.classes.join(', ')]);
  const listed = [
    ...report.removed.map((id) => [`- ${id}`, '']),
    ...report.added.map((id) => [`+ ${id}`, '']),
    ...changed,
  ];
  return [table(rows), listed.length === 0 ? '' : `\n${table(listed)}`].join('\n').trimEnd();
}
