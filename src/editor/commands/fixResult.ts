import type { BenchReport, Fix } from '../../engine/protocol.ts';
import type { ApplyReport } from '../../engine/answers.ts';
import { formatBytes, formatChange, formatCount, formatMs } from '../support/format.ts';

/** What a fix did against what its title promised, in one line. No `vscode` import. */
export function fixResultText(fix: Fix, { before, after, changed, notes }: ApplyReport): string {
  if (changed.length === 0 && before.fileBytes === after.fileBytes)
    return [`${plainTitle(fix)}: nothing to change`, ...notes].join('. ');
  const size = `${formatBytes(before.fileBytes)} → ${formatBytes(after.fileBytes)} (${formatChange(before.fileBytes, after.fileBytes)})`;
  const saved = before.fileBytes - after.fileBytes;
  const promised = fix.gain?.fileBytes;
  const against =
    promised === undefined ? '' : `: ${formatBytes(saved)} less, ${formatBytes(promised)} predicted`;
  const work =
    before.macs === after.macs
      ? []
      : [`${formatCount(before.macs, 'MACs')} → ${formatCount(after.macs, 'MACs')}`];
  return [`${plainTitle(fix)}: ${size}${against}`, ...work].join(', ');
}

/** The benchmark that followed: measured here, beside what was estimated for the device. */
export function fixBenchmarkText(fix: Fix, report: BenchReport): string {
  const now = formatMs(report.latencyMs.median);
  const { against } = report;
  const measured =
    against === undefined
      ? `Measured here: ${now}`
      : `Measured here: ${formatMs(against.latencyMs.median)} → ${now} (${against.speedup.toFixed(2)}× as fast)`;
  const estimate = fix.gain?.latencyMs;
  if (estimate === undefined) return `${measured}.`;
  const from = estimate.before === null ? 'does not run' : formatMs(estimate.before);
  const factor = estimate.before === null ? '' : ` (${(estimate.before / estimate.after).toFixed(2)}×)`;
  return `${measured}. Estimated on the device: ${from} → ${formatMs(estimate.after)}${factor}.`;
}

/** The title without the gain that stands behind its colon. */
export function plainTitle({ title }: Fix): string {
  return title.split(': ')[0] ?? title;
}
