import type { Budget, Finding, Severity } from './rule.ts';

export type SeverityOverride = Severity | 'off';

/** A finding that somebody has looked at and accepted. */
export interface Suppression {
  readonly rule: string;
  /** A layer's id; `*` stands for anything. Absent: everywhere in the model. */
  readonly layer?: string;
  /** The model's file name; `*` stands for anything. Absent: every model. */
  readonly model?: string;
  readonly reason?: string;
}

/** What a team has agreed on: limits, severities, accepted findings. */
export interface CheckConfig {
  readonly budget: Budget;
  readonly severities: Readonly<Record<string, SeverityOverride>>;
  readonly suppress: readonly Suppression[];
}

export const noConfig: CheckConfig = { budget: {}, severities: {}, suppress: [] };

/** The findings of a model as the team wants them: silenced ones left out, severities replaced. */
export function configured(
  findings: readonly Finding[],
  { severities, suppress }: Pick<CheckConfig, 'severities' | 'suppress'>,
  model: string,
): readonly Finding[] {
  const here = suppress.filter((each) => each.model === undefined || matches(each.model, baseName(model)));
  return findings.flatMap((finding) => {
    const severity = severities[finding.rule] ?? finding.severity;
    if (severity === 'off') return [];
    const left = withoutSuppressed(finding, here);
    return left === undefined ? [] : [{ ...left, severity }];
  });
}

/** The finding without the layers where it is suppressed; `undefined` when none is left. */
function withoutSuppressed(finding: Finding, suppress: readonly Suppression[]): Finding | undefined {
  const about = suppress.filter(({ rule }) => rule === finding.rule);
  if (about.some(({ layer }) => layer === undefined)) return undefined;
  const layers = finding.layers ?? (finding.layer === undefined ? [] : [finding.layer]);
  const left = layers.filter((id) => !about.some(({ layer }) => layer !== undefined && matches(layer, id)));
  if (left.length === layers.length) return finding;
  const [first] = left;
  if (first === undefined) return undefined;
  const { layers: _former, ...rest } = finding;
  return left.length === 1 ? { ...rest, layer: first } : { ...rest, layer: first, layers: left };
}

function matches(pattern: string, text: string): boolean {
  const parts = pattern.split('*').map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join('.*')}$`, 's').test(text);
}

function baseName(path: string): string {
  return path.split(/[/\\]/).at(-1) ?? path;
}
