import * as vscode from 'vscode';
import type { NodeDetails } from '../../engine/answers.ts';
import type { FindingsView } from '../findings/findings.ts';
import { commandLink } from '../findings/findings.ts';
import { findingsOf, keyOfFinding } from '../findings/findingView.ts';
import { formatBytes, formatCount, formatMs } from '../support/format.ts';
import type { LayerTimes } from '../layerTimes.ts';
import { operatorPage, operatorSentence } from './operatorDocs.ts';
import type { ShownText, TextForms } from './forms.ts';
import { layerLabel } from './model.ts';

/** Neighbours named in a hover; the rest is counted. */
const named = 5;

/** The layer's card: what the operator does, what it costs and why, who feeds and reads it, what was found. */
export function hover(texts: TextForms, findings: FindingsView, times: LayerTimes): vscode.HoverProvider {
  return {
    async provideHover({ uri }, { line }) {
      const shown = texts.shown(uri);
      const layer = shown?.index.layerAt(line);
      if (shown === undefined || layer === undefined) return undefined;
      const [details, known] = await Promise.all([
        shown.document.ask('node', { id: layer, brief: true }),
        times.of(shown.document),
      ]);
      const text = new vscode.MarkdownString(undefined, true);
      text.isTrusted = {
        enabledCommands: [
          'kerf.applyFix',
          'kerf.previewFix',
          'kerf.showRule',
          'kerf.revealLayer',
          'kerf.openText',
        ],
      };
      text.appendMarkdown(operatorPart(shown, details));
      text.appendMarkdown(costPart(details, known.get(layer), times.sensitivity(shown.document, layer)));
      text.appendMarkdown(neighbourPart(shown, details));
      text.appendMarkdown(findingPart(shown, findings, layer));
      return new vscode.Hover(text);
    },
  };
}

function operatorPart({ document }: ShownText, details: NodeDetails): string {
  const page = operatorPage(details.op, details.domain, document.format);
  const op = page === undefined ? escape(details.op) : `[${escape(details.op)}](${page})`;
  const sentence = operatorSentence(details.op, document.format);
  return `**${escape(layerLabel(details))}** — ${op}\n\n${sentence === undefined ? '' : `${escape(sentence)}\n\n`}`;
}

function costPart(
  { cost, inputs, outputs }: NodeDetails,
  ms: number | undefined,
  sqnrDb: number | undefined,
): string {
  const rows = [
    [
      vscode.l10n.t('Weights'),
      `${formatBytes(cost.weightBytes)}, ${vscode.l10n.t('{0} parameters', formatCount(cost.params))}`,
    ],
    [vscode.l10n.t('Work'), `${formatCount(cost.macs, 'MACs')}, ${formatCount(cost.flops, 'FLOPs')}`],
    [vscode.l10n.t('Activations'), `${formatBytes(cost.inputBytes)} → ${formatBytes(cost.activationBytes)}`],
    ...(ms === undefined
      ? []
      : [[vscode.l10n.t('Target device'), vscode.l10n.t('about {0} (estimated)', formatMs(ms))]]),
    ...(sqnrDb === undefined ? [] : [[vscode.l10n.t('Sensitivity'), `${sqnrDb.toFixed(1)} dB`]]),
    ...inputs.map(({ role, type }) => [escape(role), escape(type)]),
    ...outputs.map(({ role, type }) => [`→ ${escape(role)}`, escape(type)]),
  ];
  const table = [
    '| | |',
    '|---|---|',
    ...rows.map(([name, value]) => `| ${name ?? ''} | ${value ?? ''} |`),
    '',
  ];
  return `${table.join('\n')}${cost.formula === '' ? '' : `\n\`${cost.formula}\`\n`}`;
}

function neighbourPart({ document }: ShownText, { inputs, outputs }: NodeDetails): string {
  const uri = document.uri.toString();
  const list = (title: string, values: NodeDetails['inputs']): string => {
    const peers = [...new Set(values.flatMap(({ peers: ids }) => ids))];
    if (peers.length === 0) return '';
    const links = peers
      .slice(0, named)
      .map((id) => `[${escape(id)}](${commandLink('kerf.openText', [uri, id]).toString()})`);
    const rest = peers.length > named ? ` ${vscode.l10n.t('and {0} more', peers.length - named)}` : '';
    return `\n${title}: ${links.join(', ')}${rest}\n`;
  };
  return list(vscode.l10n.t('Producers'), inputs) + list(vscode.l10n.t('Consumers'), outputs);
}

function findingPart({ document }: ShownText, findings: FindingsView, layer: string): string {
  const uri = document.uri.toString();
  return findingsOf(findings.known(document), layer)
    .map((finding) => {
      const manual = commandLink('kerf.showRule', [finding.rule]).toString();
      const [fix] = finding.fixes;
      const line = `\n\n$(warning) ${escape(finding.message)} [${escape(finding.rule)}](${manual})`;
      if (fix === undefined) return line;
      const args = [uri, keyOfFinding(finding), 0];
      const apply = commandLink('kerf.applyFix', args).toString();
      const preview = commandLink('kerf.previewFix', args).toString();
      return `${line}\n\n$(lightbulb) [${escape(fix.title)}](${apply}) · [${vscode.l10n.t('preview')}](${preview})`;
    })
    .join('');
}

function escape(text: string): string {
  return text.replaceAll(/[\\`*_{}[\]()#+\-.!|<>]/g, String.raw`\$&`);
}
