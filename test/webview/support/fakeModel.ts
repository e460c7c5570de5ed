import type { MemoryPlan } from '../../../src/analysis/report.ts';
import type { InspectReport, LayerEstimate, NodeDetails, PassInfo } from '../../../src/engine/protocol.ts';
import type { DeviceProfile } from '../../../src/devices/profile.ts';
import type { RecipeStep } from '../../../src/passes/pass.ts';
import type { Finding } from '../../../src/rules/rule.ts';
import { type FakeNode, viewOf } from './builder.ts';

/** Answers about a made-up model, derived from its layers, so that every number on the page agrees with the others. */

const width = (node: FakeNode) => (node.precision === 'int8' ? 1 : node.precision === 'float16' ? 2 : 4);
const elements = (node: FakeNode) => node.shape.reduce((a, b) => a * b, 1);
const isLayer = (node: FakeNode) => (node.kind ?? 0) === 0;
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

export function inspectOf(nodes: readonly FakeNode[]): InspectReport {
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
          title: `Quantize to int8: about ${Math.round(((node.params ?? 0) * 3) / 1024)} KiB less`,
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

export const passList: readonly PassInfo[] = [
  {
    id: 'fp16',
    title: 'Half precision',
    summary: 'Stores weights and computes in float16: half the size, small rounding errors.',
    dialects: ['onnx', 'tflite'],
    exact: false,
    calibration: 'none',
    options: [
      { name: 'keep-io', title: 'Keep inputs and outputs in float32', type: 'boolean', default: true },
    ],
  },
  {
    id: 'quantize-dynamic',
    title: 'Quantize weights to int8, activations at run time',
    summary: 'A quarter of the size without sample data.',
    dialects: ['onnx'],
    exact: false,
    calibration: 'none',
    options: [],
  },
  {
    id: 'quantize-static',
    title: 'Quantize to int8',
    summary: 'Weights and activations in int8, ranges from sample data.',
    dialects: ['onnx', 'tflite'],
    exact: false,
    calibration: 'required',
    options: [
      {
        name: 'ranges',
        title: 'Ranges',
        type: 'choice',
        default: 'minmax',
        choices: ['minmax', 'percentile', 'entropy', 'mse'],
      },
      { name: 'samples', title: 'Samples', type: 'integer', default: 100, min: 1, max: 10000 },
    ],
  },
  {
    id: 'prune-magnitude',
    title: 'Prune small weights',
    summary: 'Sets the smallest weights to zero; files compress better.',
    dialects: ['onnx', 'tflite'],
    exact: false,
    calibration: 'none',
    options: [
      { name: 'sparsity', title: 'Sparsity', unit: 'share', type: 'number', default: 0.5, min: 0, max: 0.99 },
      {
        name: 'pattern',
        title: 'Pattern',
        type: 'choice',
        default: 'unstructured',
        choices: ['unstructured', '2:4', 'block'],
      },
    ],
  },
  {
    id: 'delegate-split',
    title: 'Split for the delegate',
    summary: 'Splits the graph where the delegate stops.',
    dialects: ['tflite'],
    refusal: 'Delegates are a TFLite matter; ONNX Runtime assigns layers to providers itself.',
    exact: true,
    calibration: 'none',
    options: [],
  },
];

const precision = {
  gmacsPerSecond: 8,
  depthwise: 0.4,
  dense3x3: 1,
  fullyConnected: 0.5,
  source: 'made up',
  basis: 'estimated' as const,
};

export const deviceList: readonly DeviceProfile[] = [
  {
    id: 'cortex-m7',
    name: 'Cortex-M7 480 MHz',
    class: 'mcu',
    cpu: 'Cortex-M7',
    runtime: 'tflite-micro',
    threads: 1,
    formats: ['onnx', 'tflite'],
    flashBytes: 2 << 20,
    ramBytes: 96 << 10,
    precisions: { int8: precision },
    bandwidth: 1e9,
    opOverhead: 1e-5,
    invokeOverhead: 1e-5,
    uncertainty: 1.5,
    unsupported: [],
    integerOnly: true,
    source: 'made up',
  },
  {
    id: 'pi-4',
    name: 'Raspberry Pi 4',
    class: 'cpu',
    cpu: 'Cortex-A72',
    runtime: 'onnxruntime',
    threads: 4,
    formats: ['onnx', 'tflite'],
    ramBytes: 4 * 2 ** 30,
    precisions: { float32: precision, int8: precision },
    bandwidth: 4e9,
    opOverhead: 1e-6,
    invokeOverhead: 1e-5,
    uncertainty: 1.5,
    unsupported: [],
    integerOnly: false,
    source: 'made up',
  },
];

export { viewOf };
