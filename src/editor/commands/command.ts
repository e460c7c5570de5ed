import { basename } from 'node:path';
import type * as vscode from 'vscode';
import type { CommandId } from '../contributions.ts';
import type { FindingsView } from '../findings/findings.ts';
import type { LayerTimes } from '../layerTimes.ts';
import type { PageHost } from '../page/host.ts';
import type { Previews } from '../document/previews.ts';
import type { ReportDocuments } from '../reports/reportDocuments.ts';
import type { Services } from '../services.ts';
import type { TextForms } from '../text/forms.ts';

/** What commands need besides the services. */
export interface CommandParts {
  readonly services: Services;
  readonly pages: PageHost;
  readonly texts: TextForms;
  readonly findings: FindingsView;
  readonly reports: ReportDocuments;
  readonly previews: Previews;
  readonly times: LayerTimes;
}

type Command = (...args: readonly unknown[]) => Promise<unknown>;

/** A missing command does not compile. */
export type CommandTable = { readonly [K in CommandId]: Command };

export function fileName(uri: vscode.Uri): string {
  return basename(uri.path);
}
