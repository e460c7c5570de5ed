import type { Command } from 'commander';
import type { EstimateReport, Shipped } from '../../engine/protocol.ts';
import type { DiffReport, InspectReport } from '../../engine/answers.ts';
import { checkFolders } from '../../engine/paths.ts';
import { bindings, keyValue, repeated } from '../arguments.ts';
import { bytes, change, count, milliseconds, percent, table } from '../format.ts';
import { print } from '../output.ts';
import type { CompressedChange } from '../compressed.ts';
import {
  compressedChange,
  compressedFlag,
  compressedRows,
  compressedSizes,
  withCompressed,
} from '../compressed.ts';
import type { Session } from '../session.ts';

interface Json {
  readonly json?: boolean;
}

interface InspectFlags {
  readonly bind?: Record<string, string>;
  readonly sparsity?: boolean;
  readonly compressed?: boolean;
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
    .option(...compressedFlag)
    .option(...jsonFlag)
    .action(async (model: string, options: Json & InspectFlags) => {
      const bind = bindings(options.bind);
      const handle = await session.open(model);
      const report = await engine.call('inspect', {
        handle,
        ...(bind && { bind }),
        ...(options.sparsity && { sparsity: true }),
      });
      const shipped = await compressedSizes(session, options.compressed, { handle }, [report.fileBytes]);
      print(options.json, { ...report, compressedBytes: shipped?.compressedBytes ?? null }, () =>
        inspectText(model, report, shipped),
      );
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
    .option(...compressedFlag)
    .option(...jsonFlag)
    .action(async (a: string, b: string, options: Json & { compressed?: boolean }) => {
      const [before, after] = [await session.open(a), await session.open(b)];
      const report = await engine.call('diff', { a: before, b: after });
      const sizes = [report.before.fileBytes, report.after.fileBytes];
      const shipped = await compressedChange(session, options.compressed, before, after, sizes);
      print(options.json, withCompressed(report, shipped), () => diffText(report, shipped));
    });
}

function inspectText(file: string, report: InspectReport, shipped: Shipped | undefined): string {
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
    [
      'file',
      `${file} (${report.format}, ${report.producer || 'unknown producer'}, version ${report.opset ?? 'unknown'})`,
    ],
    ['size', `${bytes(report.fileBytes)}, weights ${bytes(report.weightBytes)}`],
    ...(shipped ? [['compressed', `${bytes(shipped.compressedBytes)} (brotli, quality ${shipped.quality})`]] : []),
    ['parameters', count(report.params)],
    ['MACs', `${count(report.macs)} (FLOPs ${count(report.flops)})`],
    ['peak activations', bytes(report.peakActivationBytes)],
    ...memoryRows(report),
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

/** What makes the peak, and what TensorFlow Lite Micro would ask for. */
function memoryRows({ memory, micro }: InspectReport): string[][] {
  const rows: string[][] = [];
  const [largest, ...others] = memory?.atPeak ?? [];
  if (memory !== null && largest !== undefined) {
    const more = others.length === 0 ? '' : ` and ${others.length} more`;
    const layer = memory.peakLayer === null ? '' : `${shortName(memory.peakLayer)}: `;
    rows.push(['at the peak', `${layer}${shortName(largest.value)} (${bytes(largest.bytes)})${more}`]);
  }
  if (micro !== null) {
    const parts = `tensors ${bytes(micro.tensorBytes)}, structures ${bytes(micro.persistentBytes)}`;
    rows.push([
      'TFLM arena',
      `${bytes(micro.arenaBytes)}, estimated (${parts}; kernels' scratch not counted)`,
    ]);
  }
  return rows;
}

/** Converters join the names of all that was fused; the first one says enough. */
function shortName(name: string): string {
  return name.split(';')[0] ?? name;
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

/** Groups of layers in which something differs; none where all layers are in one. */
function groupsText({ groups }: DiffReport): string {
  const rows = groups
    .filter((each) => each.added + each.removed + each.changed > 0)
    .map((each) => [
      each.name || '(no path)',
      `${each.changed} changed, ${each.added} added, ${each.removed} removed`,
      each.classes.join(', '),
      `params ${count(each.params[0])} to ${count(each.params[1])}`,
      `MACs ${count(each.macs[0])} to ${count(each.macs[1])}`,
    ]);
  return groups.length < 2 || rows.length === 0 ? '' : table(rows);
}

function diffText(report: DiffReport, shipped: CompressedChange | undefined): string {
  const rows = [
    ['size', change(report.before.fileBytes, report.after.fileBytes, bytes)],
    ...compressedRows(shipped),
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
  const sections = [table(rows), groupsText(report), listed.length === 0 ? '' : table(listed)];
  return sections.filter((section) => section !== '').join('\n\n');
}
