import { createHash } from 'node:crypto';
import type { RuleInfo } from '../../engine/protocol.ts';
import type { Finding, Severity } from '../../rules/rule.ts';
import type { CheckedModel } from './checked.ts';

const levels: Readonly<Record<Severity, 'error' | 'warning' | 'note'>> = {
  error: 'error',
  warning: 'warning',
  information: 'note',
  hint: 'note',
};

/**
 * The findings as a SARIF 2.1.0 log, as code scanning takes it. Models have no lines, so every result stands on line 1 of
 * its file and names its layers as logical locations.
 */
export function sarifLog(
  checked: readonly CheckedModel[],
  rules: readonly RuleInfo[],
  uriOf: (file: string) => string,
): object {
  const used = new Set(checked.flatMap(({ findings }) => findings.map(({ rule }) => rule)));
  const known = rules.filter(({ id }) => used.has(id));
  const described = [
    ...known,
    ...[...used].filter((id) => !known.some((rule) => rule.id === id)).map(plainRule),
  ];
  const index = new Map(described.map(({ id }, at) => [id, at]));
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: { name: 'kerf', semanticVersion: KERF_VERSION, rules: described.map(reportingDescriptor) },
        },
        artifacts: checked.map(({ file }) => ({ location: { uri: encodeURI(uriOf(file)) } })),
        results: checked.flatMap(({ file, findings }, artifact) =>
          findings.map((finding) =>
            resultOf(finding, index.get(finding.rule) ?? 0, encodeURI(uriOf(file)), artifact),
          ),
        ),
        columnKind: 'utf16CodeUnits',
      },
    ],
  };
}

type Described = Pick<RuleInfo, 'id' | 'title' | 'severity' | 'manual'>;

/** Findings that come from no rule: damage of the file, a rule that failed. */
function plainRule(id: string): Described {
  return { id, title: id, severity: 'warning', manual: id };
}

function reportingDescriptor({ id, title, severity, manual }: Described): object {
  return {
    id,
    name: id.replaceAll(/(^|-)([a-z0-9])/g, (_, _dash, letter: string) => letter.toUpperCase()),
    shortDescription: { text: `${title}.` },
    fullDescription: { text: manual.split('\n\n')[0]?.replaceAll('\n', ' ') ?? title },
    help: { text: manual, markdown: manual },
    defaultConfiguration: { level: levels[severity] },
    properties: { tags: ['machine-learning', 'performance'], precision: 'high' },
  };
}

function resultOf(finding: Finding, ruleIndex: number, uri: string, artifact: number): object {
  const { rule, severity, message, fixes } = finding;
  const layers = finding.layers ?? (finding.layer === undefined ? [] : [finding.layer]);
  const logicalLocations = layers.map((layer) => ({
    name: layer,
    fullyQualifiedName: layer,
    kind: 'member',
  }));
  const cures = fixes.map(({ title, pass, options }) => ({ title, pass, options }));
  return {
    ruleId: rule,
    ruleIndex,
    level: levels[severity],
    message: { text: layers[0] === undefined ? message : `${layers[0]}: ${message}` },
    locations: [
      {
        physicalLocation: { artifactLocation: { uri, index: artifact }, region: { startLine: 1 } },
        ...(logicalLocations.length > 0 && { logicalLocations }),
      },
    ],
    partialFingerprints: { 'kerfFinding/v1': fingerprint(rule, uri, layers[0] ?? '') },
    ...(cures.length > 0 && { properties: { fixes: cures } }),
  };
}

/** The same finding in the next version of the file: rule, file and layer, not the numbers in the message. */
function fingerprint(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 32);
}
