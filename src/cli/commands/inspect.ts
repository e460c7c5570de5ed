import type { Command } from 'commander';
import type { InspectReport } from '../../engine/answers.ts';
import type { Shipped } from '../../engine/protocol.ts';
import { bindings } from '../arguments.ts';
import { compressedFlag, compressedSizes } from '../compressed.ts';
import type { Bind, Json } from '../flags.ts';
import { bindFlag, jsonFlag } from '../flags.ts';
import { bytes, count, percent, table } from '../format.ts';
import { print } from '../output.ts';
import type { Session } from '../session.ts';

interface Flags extends Json, Bind {
  readonly sparsity?: boolean;
  readonly compressed?: boolean;
}

export function addInspectCommand(program: Command, session: Session): void {
  const { engine } = session;
  program
    .command('inspect <model>')
    .description('size, parameters, MACs, memory and cost per layer')
    .option(...bindFlag)
    .option('--sparsity', 'count zeros even in large models (reads every weight)')
    .option(...compressedFlag)
    .option(...jsonFlag)
    .action(async (model: string, options: Flags) => {
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
    ...(shipped ? [['compressed', compressedText(shipped)]] : []),
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

/** Bytes that cannot be read cannot be compressed. */
function compressedText({
  compressedBytes,
  quality,
}: {
  compressedBytes: number | null;
  quality: number;
}): string {
  return compressedBytes === null ? 'unknown' : `${bytes(compressedBytes)} (brotli, quality ${quality})`;
}
