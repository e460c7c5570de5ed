import type { Graph, OnnxModel } from '../../../src/ir/model.ts';

/** An ONNX model of one graph, which says nothing of where it comes from. */
export function onnxModel(main: Graph, opset = 17, more: Partial<OnnxModel> = {}): OnnxModel {
  return {
    dialect: 'onnx',
    graphs: [main],
    irVersion: 8,
    opsets: new Map([['', opset]]),
    producerName: '',
    producerVersion: '',
    metadata: [],
    functions: [],
    ...more,
  };
}
