import type { NodeId } from '../../ir/model.ts';
import type { Finding, Fix } from '../../rules/rule.ts';

interface AuditRemark {
  readonly layer: NodeId;
  /** Without the full stop; layers with the same message are told together. */
  readonly message: string;
  /** Whether the fix cures it. */
  readonly cured: boolean;
}

/** Remarks as findings, one per message, the ones with a cure first. */
export function groupedFindings(remarks: readonly AuditRemark[], fix?: Fix): readonly Finding[] {
  const groups = new Map<string, AuditRemark[]>();
  for (const remark of remarks) {
    const key = `${remark.cured} ${remark.message}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [remark]);
    else group.push(remark);
  }
  const found = [...groups.values()].map((group): Finding => {
    const [first] = group as [AuditRemark, ...AuditRemark[]];
    const layers = group.map(({ layer }) => layer);
    const where = layers.length === 1 ? '' : ` (${layers.length} layers)`;
    const fixes = first.cured && fix !== undefined ? [fix] : [];
    return {
      rule: 'fusion-audit',
      severity: fixes.length > 0 ? 'warning' : 'information',
      layer: first.layer,
      ...(layers.length > 1 && { layers }),
      message: `${first.message}${where}.`,
      fixes,
    };
  });
  return found.sort((a, b) => b.fixes.length - a.fixes.length);
}
