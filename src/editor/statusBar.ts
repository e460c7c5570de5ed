import * as vscode from 'vscode';
import type { EstimateReport } from '../engine/protocol.ts';
import type { ActiveModel } from './activeModel.ts';
import { type BudgetUse, budgetUse } from './budgetState.ts';
import type { Finding } from '../rules/rule.ts';
import type { ModelDocument } from './document/document.ts';
import { describe, isCancellation } from './support/errorText.ts';
import type { FindingsView } from './findings/findings.ts';
import { formatBytes, formatCount, formatMs } from './support/format.ts';
import type { PageShipped } from './page/protocol.ts';
import type { Services } from './services.ts';
import { shippedSizes } from './page/shippedSizes.ts';

/** Size and MACs, target device, budget, findings: of the active model. */
export function createStatusBar(
  services: Services,
  active: ActiveModel,
  findings: FindingsView,
): vscode.Disposable {
  const item = (id: string, priority: number, command: string, name: string): vscode.StatusBarItem => {
    const created = vscode.window.createStatusBarItem(
      `kerf.${id}`,
      vscode.StatusBarAlignment.Right,
      priority,
    );
    created.command = command;
    created.name = `Kerf: ${name}`;
    return created;
  };
  const size = item('size', 103, 'kerf.openText', vscode.l10n.t('Model Size'));
  const device = item('device', 102, 'kerf.selectDevice', vscode.l10n.t('Target Device'));
  const budget = item('budget', 101, 'kerf.setBudget', vscode.l10n.t('Budget'));
  const found = item('findings', 100, 'kerf.fix', vscode.l10n.t('Findings'));
  const items = [size, device, budget, found];
  const hide = (): void => items.forEach((each) => each.hide());
  const show = async (document: ModelDocument): Promise<void> => {
    const target = services.settings.device(document.uri);
    const { modelKey } = document;
    const inspection = await document.inspection();
    const estimate = target === null ? undefined : await document.ask('estimate', { device: target });
    const profile = (await services.catalog.devices()).find(({ id }) => id === target);
    // Answers of a model that is not shown any more are dropped.
    if (active.document !== document || document.modelKey !== modelKey) return;
    const sizeTip = (compressed: string): string =>
      tooltip(
        document,
        compressed,
        formatCount(inspection.params),
        formatBytes(inspection.peakActivationBytes),
      );
    size.text = `$(file-binary) ${formatBytes(inspection.fileBytes)} · ${inspection.macs === null ? 'MACs unknown' : formatCount(inspection.macs, 'MACs')}`;
    size.tooltip = sizeTip(vscode.l10n.t('Compressed: computing…'));
    device.text = `$(circuit-board) ${shortName(profile?.name) ?? target ?? vscode.l10n.t('no device')}`;
    device.tooltip =
      estimate === undefined
        ? vscode.l10n.t('Select the target device')
        : [profile?.name ?? target, estimateText(estimate)].join('\n');
    showFindings(found, await findings.of(document));
    if (active.document !== document || document.modelKey !== modelKey) return;
    showBudget(budget, budgetUse(services.settings.budget(document.uri), inspection, estimate));
    items.forEach((each) => each.show());
    const compressed = await shippedSizes(services.engine, document).then(shippedText, (error: unknown) => {
      if (!isCancellation(error)) services.log.warn(`compressed size: ${describe(error)}`);
      return vscode.l10n.t('Compressed: unknown');
    });
    if (active.document === document && document.modelKey === modelKey) size.tooltip = sizeTip(compressed);
  };
  const update = (): void => {
    const { document } = active;
    if (document === undefined) return hide();
    show(document).catch((error: unknown) => {
      if (!isCancellation(error)) services.log.warn(`status bar: ${describe(error)}`);
      hide();
    });
  };
  update();
  return vscode.Disposable.from(...items, active.onDidChange(update));
}

function tooltip(document: ModelDocument, compressed: string, params: string, activations: string): string {
  return [
    document.fileName,
    compressed,
    vscode.l10n.t('{0} parameters', params),
    vscode.l10n.t('{0} of activations at the peak', activations),
    vscode.l10n.t('Click for the text form'),
  ].join('\n');
}

function shippedText({ compressedBytes, deltaBytes, tooLarge }: PageShipped): string {
  if (tooLarge) return vscode.l10n.t('Compressed: not measured for files this large');
  const size = vscode.l10n.t('Compressed: {0} (brotli)', formatBytes(compressedBytes));
  if (deltaBytes === null) return size;
  return `${size}\n${vscode.l10n.t('Update from the file as opened: {0}', formatBytes(deltaBytes))}`;
}

/** "STM32H743" of "STM32H743 (NUCLEO-H743ZI2)". */
function shortName(name: string | undefined): string | undefined {
  return name?.split(' (')[0];
}

function estimateText(estimate: EstimateReport): string {
  return [
    vscode.l10n.t('Latency {0} ({1})', formatMs(estimate.latencyMs), estimate.basis),
    vscode.l10n.t('Flash {0}{1}', formatBytes(estimate.flashBytes), fitWords(estimate.fits.flash)),
    vscode.l10n.t('RAM {0}{1}', formatBytes(estimate.ramBytes), fitWords(estimate.fits.ram)),
  ].join('\n');
}

/** A board without flash has no limit to fit into. */
function fitWords(fit: EstimateReport['fits']['ram']): string {
  return fit === 'unknown' ? '' : `: ${fit}`;
}

/** Errors, warnings, and how many can be fixed; hints and information are in the tooltip only. */
function showFindings(item: vscode.StatusBarItem, findings: readonly Finding[]): void {
  const count = (severity: Finding['severity']): number =>
    findings.filter((finding) => finding.severity === severity).length;
  const [errors, warnings] = [count('error'), count('warning')];
  item.text = `$(error) ${String(errors)} $(warning) ${String(warnings)}`;
  const fixable = findings.filter(({ fixes }) => fixes.length > 0).length;
  item.tooltip = [
    vscode.l10n.t('{0} findings, {1} of them can be fixed', findings.length, fixable),
    ...findings.slice(0, 5).map(({ message }) => `• ${message}`),
    vscode.l10n.t('Click to fix'),
  ].join('\n');
  item.backgroundColor = errors > 0 ? new vscode.ThemeColor('statusBarItem.errorBackground') : undefined;
}

function showBudget(item: vscode.StatusBarItem, uses: readonly BudgetUse[]): void {
  const broken = uses.filter((use) => use.broken);
  const unknown = uses.filter((use) => use.used === null);
  item.backgroundColor =
    broken.length > 0 ? new vscode.ThemeColor('statusBarItem.errorBackground') : undefined;
  if (uses.length === 0) item.text = `$(law) ${vscode.l10n.t('no budget')}`;
  else if (broken.length > 0) item.text = `$(error) ${vscode.l10n.t('over budget')}`;
  else if (unknown.length > 0) item.text = `$(question) ${vscode.l10n.t('budget unknown')}`;
  else item.text = `$(pass) ${vscode.l10n.t('in budget')}`;
  item.tooltip = uses
    .map(
      ({ limit, used, allowed }) =>
        `${limit}: ${used === null ? 'unknown' : String(used)} / ${String(allowed)}`,
    )
    .join('\n');
}
