import type { MemoryPlan } from '../../../src/analysis/report.ts';
import type { PageShipped } from '../../../src/editor/page/protocol.ts';
import type { LayerEstimate } from '../../../src/engine/protocol.ts';
import type { InspectReport, NodeDetails } from '../../../src/engine/answers.ts';
import type { RecipeStep } from '../../../src/passes/pass.ts';
import type { Finding } from '../../../src/rules/rule.ts';
import { type FakeNode, viewOf } from './builder.ts';

/** Answers about a made-up model, derived from its layers, so that every number on the page agrees with the others. */

const width = (node: FakeNode) => (node.precision === 'int8' ? 1 : node.precision === 'float16' ? 2 : 4);
const elements = (node: FakeNode) => node.shape.reduce((a, b) => a * b, 1);
export const isLayer = (node: FakeNode) => (node.kind ?? 0) === 0;
const total = (nodes: readonly FakeNode[], of: (node: FakeNode) => number) =>
  nodes.reduce((sum, node) => sum + of(node), 0);

/** What a step does to the made-up model: it changes the element type. */
export function applyStep(nodes: readonly FakeNode[], step: RecipeStep): readonly FakeNode[] {
  const precision = step.pass === 'fp16' ? 'float16' : 'int8';
  const wanted = step.layers === undefined ? undefined : new Set(step.layers);
  return nodes.map((node) =>
    isLayer(node) && (wanted?.has(node.id) ?? true) ? { ...node, precision } : node,
  );
}

const inspected = new WeakMap<readonly FakeNode[], InspectReport>();

/** Made once per model: the details of every layer refer to it. */
export function inspectOf(nodes: readonly FakeNode[]): InspectReport {
  let report = inspected.get(nodes);
  if (report === undefined) {
    report = inspect(nodes);
    inspected.set(nodes, report);
  }
  return report;
}

/** Sizes as if brotli took a tenth off, and an update carried half of that. */
export function shippedOf(nodes: readonly FakeNode[], original: readonly FakeNode[]): PageShipped {
  const [now, before] = [nodes, original].map((each) => Math.round(inspectOf(each).fileBytes * 0.9)) as [
    number,
    number,
  ];
  const deltaBytes = nodes === original ? null : Math.round(now / 2);
  return { compressedBytes: now, originalBytes: before, deltaBytes, tooLarge: false };
}

function inspect(nodes: readonly FakeNode[]): InspectReport {
  const weightBytes = total(nodes, (node) => (node.params ?? 0) * width(node));
  const tensor = (node: FakeNode) => ({
    name: node.id,
    type: `float32[${node.shape.join('×')}]`,
    shape: node.shape,
    dtype: 'float32',
  });
  const macs = total(nodes, (node) => node.macs ?? 0);
  return {
    format: 'onnx',
    producer: 'pytorch 2.9',
    opset: 17,
    irVersion: 8,
    opsets: { '': 17 },
    metadata: [],
    signatures: [],
    quantization: { perTensor: 0, perChannel: 0, blockwise: 0, constantTypes: {} },
    alignment: { wanted: 4096, constants: 0, misaligned: 0 },
    memory: null,
    micro: null,
    bodies: [],
    fileBytes: weightBytes + 80 * nodes.length,
    weightBytes,
    params: total(nodes, (node) => node.params ?? 0),
    macs,
    flops: 2 * macs,
    peakActivationBytes: memoryOf(nodes).peakBytes,
    sparsity: null,
    unresolved: [],
    freeDimensions: [],
    inputs: nodes.filter((node) => node.kind === 1).map(tensor),
    outputs: nodes.filter((node) => node.kind === 2).map(tensor),
    layers: nodes.filter(isLayer).map((node) => ({
      id: node.id,
      name: node.id,
      op: node.op,
      params: node.params ?? 0,
      macs: node.macs ?? 0,
      flops: 2 * (node.macs ?? 0),
      weightBytes: (node.params ?? 0) * width(node),
      activationBytes: elements(node) * width(node),
      outputShapes: [node.shape.join('×')],
    })),
    damage: [],
  };
}

/** The times of the graph's layers, one by one. */
export function estimatesOf(nodes: readonly FakeNode[]): readonly LayerEstimate[] {
  const { estimateMs } = viewOf(nodes);
  return nodes.flatMap((node, v) =>
    isLayer(node)
      ? [
          {
            id: node.id,
            ms: estimateMs[v]!,
            bound: (node.macs ?? 0) > 0 ? ('compute' as const) : ('memory' as const),
            precision: node.precision === 'int8' ? ('int8' as const) : ('float32' as const),
          },
        ]
      : [],
  );
}

/** Every activation lives from its layer to its last reader. */
export function memoryOf(nodes: readonly FakeNode[]): MemoryPlan {
  const layers = nodes.filter(isLayer);
  const step = new Map(layers.map((node, i) => [node.id, i]));
  const last = new Map<string, number>();
  for (const node of layers) for (const input of node.inputs) last.set(input, step.get(node.id)!);
  const live = new Float64Array(layers.length);
  const blocks = layers.map((node, first) => {
    const bytes = elements(node) * width(node);
    const end = last.get(node.id) ?? first;
    for (let i = first; i <= end; i++) live[i]! += bytes;
    return { value: node.id, offset: 0, bytes, first, last: end };
  });
  const peakBytes = live.reduce((a, b) => Math.max(a, b), 0);
  return { peakBytes, lowerBoundBytes: peakBytes, blocks, live };
}

export function findingsOf(nodes: readonly FakeNode[]): readonly Finding[] {
  return nodes
    .filter((node) => (node.findings ?? 0) > 0)
    .map((node) => ({
      rule: 'float-weights',
      severity: node.severity === 3 ? 'warning' : 'information',
      layer: node.id,
      message: `The weights of ${node.id} take ${(node.params ?? 0) * 4} bytes as float32; this device computes in int8.`,
      fixes: [
        {
          pass: 'quantize-dynamic',
          options: {},
          layers: [node.id],
          title: `Quantize to int8: about ${(((node.params ?? 0) * 3) / 1000).toFixed(1)} kB less`,
        },
      ],
    }));
}

export function detailsOf(nodes: readonly FakeNode[], id: string): NodeDetails | undefined {
  const node = nodes.find((candidate) => candidate.id === id);
  if (node === undefined) return undefined;
  const type = (shape: readonly number[]) => `${node.precision ?? 'float32'}[${shape.join('×')}]`;
  const row = inspectOf(nodes).layers.find((layer) => layer.id === id)!;
  const peers = nodes.filter((reader) => reader.inputs.includes(id)).map((reader) => reader.id);
  const value = (name: string, role: string, shape: readonly number[]) => ({
    name,
    value: name,
    role,
    type: type(shape),
    constant: false,
    bytes: shape.reduce((a, b) => a * b, 1) * width(node),
    quantization: null,
    peers: [name],
  });
  return {
    id,
    name: node.name ?? id,
    op: node.op,
    domain: '',
    graph: 0,
    cost: {
      ...row,
      inputBytes: total(
        nodes.filter((source) => node.inputs.includes(source.id)),
        (source) => elements(source) * width(source),
      ),
      formula: node.macs === undefined ? `elements = ${elements(node)}` : 'k·k·C·K·H·W = 3·3·16·16·32·32',
    },
    attributes:
      node.op === 'Conv'
        ? [
            { name: 'kernel_shape', value: '[3, 3]' },
            { name: 'strides', value: '[1, 1]' },
            { name: 'pads', value: '[1, 1, 1, 1]' },
          ]
        : [],
    inputs: [
      ...node.inputs.map((input, i) =>
        value(input, i === 0 ? 'X' : 'B', nodes.find((n) => n.id === input)!.shape),
      ),
      ...(node.params === undefined
        ? []
        : [
            {
              ...value(`${id}.weight`, 'W', [node.params]),
              constant: true,
              peers: [],
              type: `float32[${node.params}]`,
            },
          ]),
    ],
    outputs: [{ ...value(id, 'Y', node.shape), peers }],
    passes: node.params === undefined ? [] : ['fp16', 'quantize-dynamic', 'prune-magnitude'],
    findings: findingsOf(nodes).filter((finding) => finding.layer === id),
  };
}
