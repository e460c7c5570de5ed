import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { DeviceProfile } from '../../devices/profile.ts';
import type { Candidate, OptimizeReport } from '../../engine/protocol.ts';
import { KerfError } from '../../ir/errors.ts';
import { optimize, writeCandidate } from './actions.ts';
import { withProgress } from '../support/cancel.ts';
import { viewType } from '../contributions.ts';
import { askForDataset } from '../dataset.ts';
import type { ModelDocument } from '../document/document.ts';
import { formatBytes, formatChange, formatMs, formatPercent } from '../support/format.ts';
import { pick, pickDevice } from './quickForms.ts';
import { candidateLine } from '../reports/reports.ts';
import type { Services } from '../services.ts';
import { requireTrust } from '../support/trust.ts';

/** Answers given beforehand, by a test or another extension; what is absent is asked. */
export interface OptimizeAnswers {
  readonly device?: string;
  /** Dataset path; null for seeded random inputs. */
  readonly data?: string | null;
  /** Takes the recommended candidate without showing the list. */
  readonly take?: 'chosen';
}

interface OptimizedModel {
  readonly model: string;
  readonly recipe: string;
  readonly fileBytes: number;
  readonly report: OptimizeReport;
}

/** "Optimize for Device…": device, data, candidates, choice; writes the chosen model beside the original. */
export async function runOptimize(
  services: Services,
  document: ModelDocument,
  answers: OptimizeAnswers,
): Promise<OptimizedModel> {
  requireTrust();
  const { catalog, settings } = services;
  const devices = await catalog.devices();
  const current = settings.device(document.uri);
  const title = vscode.l10n.t('Optimize {0} for…', document.fileName);
  const device =
    answers.device === undefined
      ? await pickDevice(devices, { format: document.format, current, title })
      : known(devices, answers.device);
  // Costs and findings of what will be written are about the device it was made for.
  await settings.setDevice(device.id);
  const data = answers.data === undefined ? await askForDataset(settings, document) : answers.data;
  const trying = vscode.l10n.t('Optimizing {0} for {1}', document.fileName, device.name);
  const report = await withProgress(trying, (call) =>
    optimize(services, document, { device: device.id, data }, call),
  );
  const index = answers.take === 'chosen' ? report.chosen : await pickCandidate(report, device);
  const candidate = index === null ? undefined : report.candidates[index];
  if (candidate === undefined)
    throw new KerfError('not-found', 'no candidate fits the device and keeps the score; nothing was written');
  const written = await withProgress(vscode.l10n.t('Writing {0}', candidate.title), (call) =>
    writeCandidate(
      services,
      document,
      { title: `${device.id} ${candidate.title}`, steps: candidate.recipe },
      call,
    ),
  );
  await vscode.commands.executeCommand('vscode.openWith', vscode.Uri.file(written.model), viewType, {
    preview: false,
  });
  tell(`${basename(written.model)}: ${gainText(report.baseline, candidate)}`);
  return { ...written, report };
}

function known(devices: readonly DeviceProfile[], id: string): DeviceProfile {
  const device = devices.find((each) => each.id === id);
  if (device === undefined) throw new KerfError('bad-option', `there is no device '${id}'`);
  return device;
}

async function pickCandidate(report: OptimizeReport, device: DeviceProfile): Promise<number | null> {
  const items = report.candidates.map((candidate, index) => {
    const star = report.pareto.includes(index) ? '$(star-full) ' : '';
    return {
      label: `${star}${candidate.title}`,
      ...candidateLine(candidate, report.baseline),
      index,
    };
  });
  const usable = items.filter(({ index }) => report.candidates[index]?.failure === undefined);
  // The recommended one first: Enter takes it.
  usable.sort((a, b) => Number(b.index === report.chosen) - Number(a.index === report.chosen));
  if (usable.length === 0) return null;
  const heading = (label: string) => ({ label, kind: vscode.QuickPickItemKind.Separator, index: null });
  const [first, ...others] = usable;
  const sorted =
    first === undefined || first.index !== report.chosen
      ? usable
      : [heading(vscode.l10n.t('recommended')), first, heading(vscode.l10n.t('other candidates')), ...others];
  const picked = await pick<(typeof usable)[number] | ReturnType<typeof heading>>(sorted, {
    title: vscode.l10n.t('{0}: which model to write?', device.name),
    placeHolder: vscode.l10n.t(
      'Now {0}, {1} here. Data: {2}. Stars: no other is better in all.',
      formatBytes(report.baseline.fileBytes),
      formatMs(report.baseline.measuredMs),
      basename(report.data),
    ),
    ignoreFocusOut: true,
  });
  return picked.index;
}

/** "116 kB → 35.1 kB (−69.8 %), accuracy 98.4 % → 98.2 %". */
function gainText(before: Candidate, after: Candidate): string {
  const change = formatChange(before.fileBytes, after.fileBytes);
  const size = `${formatBytes(before.fileBytes)} → ${formatBytes(after.fileBytes)} (${change})`;
  if (before.scoreKind === 'none') return size;
  const kind = before.scoreKind === 'top1' ? vscode.l10n.t('accuracy') : vscode.l10n.t('agreement');
  return `${size}, ${kind} ${formatPercent(before.score)} → ${formatPercent(after.score)}`;
}

/** A message that nobody has to answer. */
export function tell(message: string): void {
  vscode.window.showInformationMessage(message).then(undefined, () => undefined);
}
