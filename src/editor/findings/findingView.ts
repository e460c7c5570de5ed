import type { Finding, Fix, Severity } from '../../rules/rule.ts';

/** A row of Problems: one finding, or many of one rule that say the same of many layers. */
export interface FindingGroup {
  /** Names the group among the findings of a model. */
  readonly key: string;
  readonly rule: string;
  readonly severity: Severity;
  readonly message: string;
  readonly findings: readonly Finding[];
  /** What cures all of them; fixes with the same pass and options are joined over their layers. */
  readonly fixes: readonly Fix[];
}

const rank: Readonly<Record<Severity, number>> = { error: 0, warning: 1, information: 2, hint: 3 };

/**
 * Groups findings for a list that must stay readable (VS Code drops rows after 1000 per file): rules with more than
 * `limit` findings of one severity become one row.
 */
export function groupFindings(findings: readonly Finding[], limit: number): readonly FindingGroup[] {
  const byRule = new Map<string, Finding[]>();
  for (const finding of findings) {
    const key = `${finding.rule}/${finding.severity}`;
    const list = byRule.get(key);
    if (list === undefined) byRule.set(key, [finding]);
    else list.push(finding);
  }
  const groups = [...byRule].flatMap(([key, list]) =>
    list.length > limit ? [joined(key, list)] : list.map((finding) => single(finding)),
  );
  return groups.sort((a, b) => rank[a.severity] - rank[b.severity]);
}

export function keyOfFinding(finding: Finding): string {
  return `${finding.rule}/${finding.severity}/${finding.layer ?? ''}/${finding.message}`;
}

function single(finding: Finding): FindingGroup {
  const { rule, severity, message, fixes } = finding;
  return { key: keyOfFinding(finding), rule, severity, message, fixes, findings: [finding] };
}

function joined(key: string, findings: readonly [Finding, ...Finding[]] | Finding[]): FindingGroup {
  const first = findings[0];
  if (first === undefined) throw new RangeError('a group has at least one finding');
  const what = first.layer === undefined ? 'more' : 'more layers';
  const message = `${first.message} (and ${String(findings.length - 1)} ${what})`;
  return { key, rule: first.rule, severity: first.severity, message, findings, fixes: joinFixes(findings) };
}

/** Every kind of fix that findings offer, each over all the layers it was offered for. */
export function joinFixes(findings: readonly Finding[]): readonly Fix[] {
  const fixes = new Map<string, { fix: Fix; layers: Set<string> | undefined }>();
  for (const fix of findings.flatMap((finding) => finding.fixes)) {
    const key = `${fix.pass} ${JSON.stringify(fix.options)} ${fix.layers === undefined ? 'all' : 'some'}`;
    const known = fixes.get(key);
    if (known === undefined) fixes.set(key, { fix, layers: fix.layers && new Set(fix.layers) });
    else for (const layer of fix.layers ?? []) known.layers?.add(layer);
  }
  return [...fixes.values()].map(({ fix, layers }) => {
    if (layers === undefined) return fix;
    const title = layers.size > 1 ? `${fix.title} (${String(layers.size)} layers)` : fix.title;
    return { ...fix, layers: [...layers], title };
  });
}

/** The fix that a call of a pass amounts to; `undefined` when no finding offered it. */
export function fixBehind(
  findings: readonly Finding[],
  call: { readonly pass: string; readonly options?: Fix['options']; readonly layers?: readonly string[] },
): Fix | undefined {
  const layers = (call.layers ?? []).join('\n');
  return findings
    .flatMap(({ fixes }) => fixes)
    .find((fix) => {
      const options = Object.entries(fix.options).every(([name, value]) => call.options?.[name] === value);
      return fix.pass === call.pass && options && (fix.layers ?? []).join('\n') === layers;
    });
}

/** Findings of a layer, and of the whole model when `layer` is null. */
export function findingsOf(findings: readonly Finding[], layer: string | null): readonly Finding[] {
  return findings.filter((finding) =>
    layer === null ? finding.layer === undefined : layersOf(finding).includes(layer),
  );
}

/** Every layer that a finding is about. */
export function layersOf(finding: Finding): readonly string[] {
  return finding.layers ?? (finding.layer === undefined ? [] : [finding.layer]);
}
