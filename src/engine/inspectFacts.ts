import type { InspectFacts, QuantizationFacts, AlignmentFacts, MemoryFacts } from './answers.ts';
import { executionOrder } from '../analysis/order.ts';
import type { Analysis, MemoryPlan } from '../analysis/report.ts';
import type { TensorLeftover } from '../formats/onnx/origin.ts';
import type { Model } from '../ir/model.ts';
import type { Tensor } from '../ir/tensor.ts';
import { graphsOf } from '../ir/walk.ts';
import { operatorOf } from '../ops/registry.ts';
import { layerRow } from './nodeDetails.ts';

const longestText = 400;
const mostAtPeak = 32;

export function inspectFacts(model: Model, analysis: Analysis, fileBytes: number): InspectFacts {
  const { memory, micro } = analysis;
  return {
    irVersion: model.dialect === 'onnx' ? model.irVersion : null,
    opsets: model.dialect === 'onnx' ? Object.fromEntries(model.opsets) : {},
    metadata: metadataOf(model),
    signatures:
      model.dialect === 'onnx'
        ? []
        : model.signatures.map(({ key, inputs, outputs }) => ({
            key,
            inputs: inputs.map(([name]) => name),
            outputs: outputs.map(([name]) => name),
          })),
    quantization: quantizationOf(model),
    alignment: alignmentOf(model),
    memory: memory === undefined ? null : memoryFacts(model, memory),
    micro: micro === undefined ? null : { ...micro, flashBytes: fileBytes },
    bodies: analysis.bodies.map(({ layer, graph, layers }) => ({
      layer,
      graph,
      layers: layers.map(layerRow),
    })),
  };
}

/** TFLite metadata are bytes; what is not text is given by its length. */
function metadataOf(model: Model): InspectFacts['metadata'] {
  if (model.dialect === 'onnx') {
    return model.metadata.map(([name, value]) => ({ name, value: value.slice(0, longestText) }));
  }
  return model.metadata.map(({ name, data }) => {
    const text = data.missing === undefined ? new TextDecoder().decode(data.read(0, longestText)) : '';
    const trimmed = text.replace(/\0+$/, '');
    const readable = trimmed !== '' && /^[\t\n\r\x20-\x7e]*$/.test(trimmed);
    return { name, value: readable ? trimmed : `${data.length} bytes` };
  });
}

function quantizationOf(model: Model): QuantizationFacts {
  let [perTensor, perChannel, blockwise] = [0, 0, 0];
  const constantTypes: Record<string, number> = {};
  for (const graph of graphsOf(model)) {
    for (const { constant, quantization } of graph.values.values()) {
      if (constant !== undefined) constantTypes[constant.dtype] = (constantTypes[constant.dtype] ?? 0) + 1;
      if (quantization?.details !== undefined) blockwise += 1;
      else if ((quantization?.scale.length ?? 0) > 1) perChannel += 1;
      else if (quantization?.scale.length === 1) perTensor += 1;
    }
    if (model.dialect === 'tflite') continue;
    for (const node of graph.nodes) {
      if (operatorOf(model, node)?.family !== 'quantization') continue;
      const scale = graph.values.get(node.inputs[1] ?? '')?.constant?.dims;
      if (node.attributes.has('block_size')) blockwise += 1;
      else if (scale?.length === 1 && (scale[0] ?? 1) > 1) perChannel += 1;
      else perTensor += 1;
    }
  }
  return { perTensor, perChannel, blockwise, constantTypes };
}

const tfliteAlignment = 16;
const onnxAlignment = 4096;

function alignmentOf(model: Model): AlignmentFacts {
  const wanted = model.dialect === 'tflite' ? tfliteAlignment : onnxAlignment;
  const starts: number[] = [];
  const seen = new Set<object>();
  for (const graph of graphsOf(model)) {
    for (const { constant } of graph.values.values()) {
      if (constant === undefined || constant.data.length === 0 || seen.has(constant.data)) continue;
      seen.add(constant.data);
      const start = model.dialect === 'tflite' ? constant.data.start : externalOffset(constant);
      if (start !== undefined) starts.push(start);
    }
  }
  const misaligned = starts.filter((start) => start % wanted !== 0).length;
  return { wanted, constants: starts.length, misaligned };
}

/** Weights inside an ONNX file are copied by every runtime; only those beside it can be mapped. */
function externalOffset(tensor: Tensor): number | undefined {
  return (tensor.extra as TensorLeftover | undefined)?.external?.offset;
}

function memoryFacts(model: Model, memory: MemoryPlan): MemoryFacts {
  const peak = memory.live.reduce((most, bytes) => Math.max(most, bytes), 0);
  const step = memory.live.indexOf(peak);
  const atPeak = memory.blocks
    .filter((block) => block.first <= step && step <= block.last)
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, mostAtPeak)
    .map(({ value, bytes }) => ({ value, bytes }));
  return {
    arenaBytes: memory.peakBytes,
    lowerBoundBytes: memory.lowerBoundBytes,
    peakStep: step,
    peakLayer: executionOrder(model.graphs[0]).nodes[step]?.id ?? null,
    atPeak,
    timeline: Array.from(memory.live),
  };
}
