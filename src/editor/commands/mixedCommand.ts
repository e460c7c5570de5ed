import { basename, dirname, extname } from 'node:path';
import * as vscode from 'vscode';
import type { MixedBudget, MixedReport } from '../../engine/protocol.ts';
import { withProgress } from '../support/cancel.ts';
import { viewType } from '../contributions.ts';
import { askForDataset } from '../dataset.ts';
import type { ModelDocument } from '../document/document.ts';
import { freeName } from '../support/fileNames.ts';
import { pick } from './quickForms.ts';
import type { ReportDocuments } from '../reports/reportDocuments.ts';
import { mixedReport } from '../reports/sensitivityReports.ts';
import type { Services } from '../services.ts';
import { requireTrust } from '../support/trust.ts';

/** Answers given beforehand, by a test or another extension; what is absent is asked. */
export interface MixedAnswers {
  readonly budget?: MixedBudget;
  readonly schemes?: readonly string[];
  /** Dataset path; null for seeded random inputs. */
  readonly data?: string | null;
}

/** "Mixed Precision…": budget, schemes, data; writes the model and its recipe beside the original and shows the frontier. */
export async function runMixed(
  { settings }: Services,
  reports: ReportDocuments,
  document: ModelDocument,
  answers: MixedAnswers,
): Promise<MixedReport> {
  requireTrust();
  const { fileBytes } = await document.inspection();
  const budget = answers.budget ?? (await askBudget(fileBytes));
  const schemes = answers.schemes ?? (await askSchemes());
  const data = answers.data === undefined ? await askForDataset(settings, document) : answers.data;
  const extension = extname(document.path);
  const out = await freeName(
    dirname(document.path),
    `${basename(document.path, extension)}.mixed`,
    extension,
  );
  const device = settings.device(document.uri);
  const params = {
    schemes,
    budget,
    out,
    ...(data === null ? {} : { data }),
    ...(device === null ? {} : { device }),
  };
  const running = vscode.l10n.t('Mixed precision of {0}', document.fileName);
  const report = await withProgress(running, (call) => document.ask('mixed', params, call));
  await reports.show(`${document.fileName} mixed precision`, mixedReport(document.fileName, report));
  if (report.out !== null) await offerToOpen(report.out);
  return report;
}

async function askBudget(fileBytes: number): Promise<MixedBudget> {
  const share = (percent: number) => ({
    label: vscode.l10n.t('{0} % of the size', percent),
    description: vscode.l10n.t('the most accurate of this size'),
    budget: { kind: 'size', bytes: Math.floor((percent / 100) * fileBytes) } as const,
  });
  const drop = (points: number) => ({
    label:
      points === 1 ? vscode.l10n.t('At most 1 point lost') : vscode.l10n.t('At most {0} points lost', points),
    description: vscode.l10n.t('the smallest that keeps the accuracy'),
    budget: { kind: 'accuracy', drop: points } as const,
  });
  const items = [drop(0.5), drop(1), drop(2), share(25), share(20), share(15)];
  return (await pick(items, { title: vscode.l10n.t('Mixed precision: under which budget?') })).budget;
}

async function askSchemes(): Promise<readonly string[]> {
  const items = [
    {
      label: 'int8, int4',
      description: vscode.l10n.t('8-bit layers, and 4-bit weights where they do no harm'),
    },
    { label: 'int8', description: vscode.l10n.t('8-bit layers, the rest as it is') },
    { label: 'int8, int4, int3, int2', description: vscode.l10n.t('down to 2-bit weights; takes longest') },
    { label: 'int8-weights, int4, fp16', description: vscode.l10n.t('weights only') },
  ];
  const { label } = await pick(items, { title: vscode.l10n.t('Mixed precision: what may a layer take?') });
  return label.split(', ');
}

async function offerToOpen(file: string): Promise<void> {
  const open = vscode.l10n.t('Open');
  const done = vscode.l10n.t('{0} was written, its recipe beside it.', basename(file));
  if ((await vscode.window.showInformationMessage(done, open)) !== open) return;
  await vscode.commands.executeCommand('vscode.openWith', vscode.Uri.file(file), viewType, {
    preview: false,
  });
}
