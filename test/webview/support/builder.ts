import type { GraphView } from '../../../src/engine/view.ts';
import type { OpFamily } from '../../../src/ops/operator.ts';

/** One layer of a made-up model, with costs worked out from its shape. */
export interface FakeNode {
  readonly kind?: 0 | 1 | 2;
  readonly id: string;
  readonly name?: string;
  readonly op: string;
  readonly family: OpFamily;
  readonly shape: readonly number[];
  readonly precision?: string;
  readonly scope?: string;
  readonly params?: number;
  readonly macs?: number;
  readonly inputs: readonly string[];
  readonly findings?: number;
  readonly severity?: number;
}

const bytesPer: Readonly<Record<string, number>> = { float32: 4, float16: 2, int8: 1, uint8: 1, int64: 8 };

/** Columns of a list of layers; `inputs` name layers that come earlier. */
export function viewOf(nodes: readonly FakeNode[]): GraphView {
  const strings: string[] = [];
  const indexes = new Map<string, number>();
  const intern = (text: string) => {
    let index = indexes.get(text);
    if (index === undefined) indexes.set(text, (index = strings.push(text) - 1));
    return index;
  };
  const at = new Map(nodes.map((node, i) => [node.id, i]));
  const edges = nodes.flatMap((node, to) =>
    node.inputs.map((input) => {
      const from = at.get(input);
      if (from === undefined) throw new Error(`no layer ${input}`);
      const source = nodes[from]!;
      return { from, to, label: `${input}: ${source.precision ?? 'float32'}[${source.shape.join('×')}]` };
    }),
  );
  const column = (text: (node: FakeNode) => string) => Uint32Array.from(nodes, (node) => intern(text(node)));
  const numbers = (value: (node: FakeNode) => number) => Float64Array.from(nodes, value);
  const width = (node: FakeNode) => bytesPer[node.precision ?? 'float32'] ?? 4;
  const elements = (node: FakeNode) => node.shape.reduce((a, b) => a * b, 1);
  const macs = (node: FakeNode) => node.macs ?? 0;
  return {
    strings,
    nodeCount: nodes.length,
    kind: Uint8Array.from(nodes, (node) => node.kind ?? 0),
    nested: Uint8Array.from(nodes, () => 0),
    id: column((node) => node.id),
    layer: column((node) => node.id),
    name: column((node) => node.name ?? node.id),
    op: column((node) => node.op),
    family: column((node) => node.family),
    shape: column((node) => node.shape.join('×')),
    weight: column((node) => (node.op === 'Conv' ? `${node.shape[1]}×${node.shape[1]}×3×3` : '')),
    precision: column((node) => node.precision ?? 'float32'),
    scope: column((node) => node.scope ?? ''),
    params: numbers((node) => node.params ?? 0),
    macs: numbers(macs),
    flops: numbers((node) => 2 * macs(node) + (macs(node) === 0 ? elements(node) : 0)),
    weightBytes: numbers((node) => (node.params ?? 0) * width(node)),
    activationBytes: numbers((node) => elements(node) * width(node)),
    estimateMs: numbers(
      (node) => 0.01 + macs(node) / (width(node) === 1 ? 1.6e7 : 4e6) + elements(node) / 4e6,
    ),
    unsupported: Uint8Array.from(nodes, () => 0),
    findings: Uint16Array.from(nodes, (node) => node.findings ?? 0),
    severity: Uint8Array.from(nodes, (node) => node.severity ?? 0),
    edgeFrom: Uint32Array.from(edges, (edge) => edge.from),
    edgeTo: Uint32Array.from(edges, (edge) => edge.to),
    edgeLabel: Uint32Array.from(edges, (edge) => intern(edge.label)),
  };
}
