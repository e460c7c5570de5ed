import { attr } from '../../../src/ir/attribute.ts';
import { memoryBytes } from '../../../src/ir/bytes.ts';
import type { Node, OnnxModel, Value } from '../../../src/ir/model.ts';
import { tensorType } from '../../../src/ir/types.ts';
import { onnxModel } from '../../unit/support/onnxModel.ts';

/** Blocks of a convolution, a ReLU and an addition, named as exporters name them. */
export function network(layers: number): OnnxModel {
  const values = new Map<string, Value>();
  const nodes: Node[] = [];
  const type = tensorType('float32', [1, 32, 16, 16]);
  const put = (id: string, more: Partial<Value> = {}) => values.set(id, { id, name: id, ...more });
  put('image', { type });
  let last = 'image';
  const add = (
    name: string,
    op: string,
    inputs: readonly string[],
    attributes: Node['attributes'] = new Map(),
  ) => {
    const output = `/${name}/${op}_output_0`;
    put(output);
    nodes.push({
      id: `/${name}/${op}`,
      name: `/${name}/${op}`,
      op,
      domain: '',
      inputs,
      outputs: [output],
      attributes,
    });
    return output;
  };
  const pads = new Map([
    ['pads', attr.ints([1, 1, 1, 1])],
    ['kernel_shape', attr.ints([3, 3])],
  ]);
  const data = memoryBytes(new Uint8Array(32 * 32 * 9 * 4).fill(1));
  for (let block = 0; nodes.length < layers; block += 1) {
    const scope = `stage.${Math.floor(block / 100)}/block.${block}`;
    const weight = `${scope}.weight`;
    put(weight, { constant: { dtype: 'float32', dims: [32, 32, 3, 3], data } });
    const conv = add(`${scope}/conv`, 'Conv', [last, weight], pads);
    const relu = add(`${scope}/relu`, 'Relu', [conv]);
    last = add(scope, 'Add', [relu, last]);
  }
  const graph = { name: 'network', inputs: ['image'], outputs: [last], nodes, values };
  return onnxModel(graph, 18, { irVersion: 9 });
}
