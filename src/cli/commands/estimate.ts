import type { Command } from 'commander';
import type { EstimateReport } from '../../engine/protocol.ts';
import { bindings } from '../arguments.ts';
import type { Bind, Json } from '../flags.ts';
import { bindFlag, jsonFlag } from '../flags.ts';
import { bytes, milliseconds, table } from '../format.ts';
import { print } from '../output.ts';
import type { Session } from '../session.ts';

export function addEstimateCommand(program: Command, session: Session): void {
  const { engine } = session;
  program
    .command('estimate <model>')
    .description('latency, energy, flash and RAM on a device, estimated')
    .requiredOption('--device <id>', 'target device')
    .option(...bindFlag)
    .option(...jsonFlag)
    .action(async (model: string, options: Json & Bind & { device: string }) => {
      const bind = bindings(options.bind);
      const report = await engine.call('estimate', {
        handle: await session.open(model),
        device: options.device,
        ...(bind && { bind }),
      });
      print(options.json, report, () => estimateText(report));
    });
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
