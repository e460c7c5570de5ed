import { describe, expect, it } from 'vitest';
import { unzipSync, zipSync } from 'fflate';
import { readTflite } from '../../../../src/formats/tflite/read.ts';
import { builtinOperators, optionsTableOf } from '../../../../src/formats/tflite/opcodes.ts';
import { modelExtra } from '../../../../src/formats/tflite/extra.ts';
import { rowsOf } from '../../../../src/formats/tflite/row.ts';
import { membersOf, tableOf } from '../../../../src/formats/tflite/schema.ts';
import { verifyTflite } from './verify.ts';
import { encodeTflite } from '../../../../src/formats/tflite/write.ts';
import { attr } from '../../../../src/ir/attribute.ts';
import { memoryBytes } from '../../../../src/ir/bytes.ts';
import { GraphEditor } from '../../../../src/ir/edit.ts';
import type { Node, TfliteModel, Value } from '../../../../src/ir/model.ts';
import { withMainGraph } from '../../../../src/ir/model.ts';
import { floatTensor, intTensor } from '../../../../src/ir/numbers.ts';
import { tensorType } from '../../../../src/ir/types.ts';
import {
  constant,
  graphOf,
  join,
  JoinedBytes,
  modelOf,
  node,
  plain,
  reread,
  rewritten,
  tinyModel,
  value,
  ZeroBytes,
} from './support.ts';

/** The tiny model as if it came from a file. */
const stored = () => reread(tinyModel());

function edited(model: TfliteModel, edit: (editor: GraphEditor) => void): TfliteModel {
  const editor = new GraphEditor(model.graphs[0], model);
  edit(editor);
  return withMainGraph(model, editor.finish());
}

const nodeOf = (model: TfliteModel, op: string) =>
  model.graphs[0].nodes.find((each) => each.op === op) as Node;
const valueOf = (model: TfliteModel, id: string) => model.graphs[0].values.get(id) as Value;

describe('the schema table', () => {
  it('has every operator and option table', () => {
    expect(builtinOperators).toHaveLength(210);
    expect(membersOf('BuiltinOptions')).toHaveLength(126);
    expect(membersOf('BuiltinOptions2')).toHaveLength(23);
    for (const name of [...membersOf('BuiltinOptions'), ...membersOf('BuiltinOptions2')])
      expect(tableOf(name).name).toBe(name);
  });

  it('finds the option table of an operator by its name', () => {
    const known = {
      CONV_2D: 'Conv2DOptions',
      TOPK_V2: 'TopKV2Options',
      ATAN2: 'ATan2Options',
      RFFT2D: 'Rfft2dOptions',
      MEAN: 'ReducerOptions',
      STABLEHLO_COMPOSITE: 'StableHLOCompositeOptions',
      UNIDIRECTIONAL_SEQUENCE_RNN: 'SequenceRNNOptions',
      RELU: undefined,
      LOGISTIC: undefined,
      EMBEDDING_LOOKUP: undefined,
    };
    for (const [op, table] of Object.entries(known)) expect(optionsTableOf(op)).toBe(table);
  });
});

describe('edits', () => {
  it('writes only what changed', () => {
    const model = stored();
    const changed = edited(model, (editor) => {
      const conv = nodeOf(model, 'CONV_2D');
      const attributes = new Map(conv.attributes).set('fused_activation_function', {
        kind: 'enum',
        value: 1,
        name: 'RELU',
      });
      editor.replaceNode(conv.id, [{ ...conv, attributes }]);
      editor.replaceUses('relu', 'conv');
      editor.removeNode(nodeOf(model, 'RELU').id);
    });
    const again = reread(changed);
    expect(again.graphs[0].nodes.map((each) => each.op)).toEqual(['CONV_2D', 'RESHAPE']);
    expect([...again.graphs[0].values.keys()]).toEqual(['image', 'filter', 'bias', 'conv', 'shape', 'row']);
    expect(nodeOf(again, 'CONV_2D').attributes.get('fused_activation_function')).toMatchObject({
      name: 'RELU',
    });
    expect(nodeOf(again, 'CONV_2D').attributes.get('stride_w')).toEqual(attr.int(1));
    expect(plain(again).metadata).toEqual(plain(model).metadata);
    expect(again.signatures).toEqual(model.signatures);
  });

  it('keeps tensors that share a buffer sharing it', () => {
    const tensor = floatTensor([4], Float32Array.of(1, 2, 3, 4));
    const graph = graphOf(
      [node('ADD', ['x', 'a'], ['s']), node('MUL', ['s', 'b'], ['y'])],
      [
        value('x', [4]),
        constant('a', tensor),
        constant('b', { ...tensor }),
        value('s', [4]),
        value('y', [4]),
      ],
      ['x'],
      ['y'],
    );
    const model = reread(modelOf(graph));
    expect(valueOf(model, 'a').constant?.data).toBe(valueOf(model, 'b').constant?.data);
    const again = reread(
      edited(model, (editor) => void editor.setValue({ ...valueOf(model, 'x'), name: 'renamed' })),
    );
    expect(valueOf(again, 'a').constant?.data).toBe(valueOf(again, 'b').constant?.data);
    const apart = reread(
      edited(model, (editor) => {
        const changed = floatTensor([4], Float32Array.of(9, 9, 9, 9));
        editor.setValue({ ...valueOf(model, 'b'), constant: changed });
      }),
    );
    expect([...(valueOf(apart, 'a').constant?.data.read(0, 4) ?? [])]).toEqual([0, 0, 0x80, 0x3f]);
    expect(valueOf(apart, 'a').constant?.data).not.toBe(valueOf(apart, 'b').constant?.data);
  });

  it('lets signatures follow a graph output that was replaced', () => {
    const model = stored();
    const again = reread(
      edited(model, (editor) => {
        editor.insertAfter('row', [node('NEG', ['row'], ['negated'])]);
        editor.setValue(value('negated', [1, 32]));
        editor.setOutputs(['negated']);
      }),
    );
    expect(again.graphs[0].outputs).toEqual(['negated']);
    expect(again.signatures[0]?.outputs).toEqual([['y', 'negated']]);
  });

  it('makes the signature of a shape follow the shape', () => {
    const graph = graphOf(
      [node('RELU', ['x'], ['y'])],
      [value('x', [1, 8], { signature: [-1, 8] }), value('y', [1, 8], { signature: [-1, 8] })],
      ['x'],
      ['y'],
    );
    const model = reread(modelOf(graph));
    expect(valueOf(model, 'x').signature).toEqual([-1, 8]);
    const wider = reread(
      edited(model, (editor) => {
        editor.setValue({ ...valueOf(model, 'x'), type: tensorType('float32', [2, 16]) });
        const { signature: _signature, ...fixed } = valueOf(model, 'y');
        editor.setValue({ ...fixed, type: tensorType('float32', [2, 16]) });
      }),
    );
    expect(valueOf(wider, 'x').signature).toEqual([-1, 16]);
    expect(valueOf(wider, 'y').signature).toBeUndefined();
    expect(valueOf(wider, 'y').type).toEqual(tensorType('float32', [2, 16]));
  });

  it('writes quantization, per channel and per tensor', () => {
    const quantization = { scale: Float32Array.of(0.5, 0.25), zeroPoint: [0, 0], axis: 0 };
    const filter = { ...constant('w', intTensor('int8', [2, 4], [1, 2, 3, 4, 5, 6, 7, 8])), quantization };
    const perTensor = { scale: Float32Array.of(0.1), zeroPoint: [-3], axis: 0 };
    const int8 = (id: string, dims: number[]): Value => ({
      ...value(id, dims),
      type: tensorType('int8', dims),
      quantization: perTensor,
    });
    const bias = { ...constant('b', intTensor('int32', [2], [1, 2])), quantization };
    const graph = graphOf(
      [node('FULLY_CONNECTED', ['x', 'w', 'b'], ['y'])],
      [int8('x', [1, 4]), filter, bias, int8('y', [1, 2])],
      ['x'],
      ['y'],
    );
    const again = reread(modelOf(graph));
    expect(valueOf(again, 'w').quantization).toMatchObject(quantization);
    expect(valueOf(again, 'x').quantization).toMatchObject(perTensor);
    expect(nodeOf(again, 'FULLY_CONNECTED').version).toBe(4);
  });

  it('packs operator codes beyond 127 as readers expect them', () => {
    const graph = graphOf([node('GELU', ['x'], ['y'])], [value('x', [4]), value('y', [4])], ['x'], ['y']);
    const again = reread(modelOf(graph));
    expect(again.graphs[0].nodes[0]?.op).toBe('GELU');
    const root = modelExtra(again)?.row;
    const [code] = root === undefined ? [] : rowsOf(root, 'operator_codes');
    expect(code?.cells.get('deprecated_builtin_code')).toEqual({ kind: 'scalar', value: 127 });
    expect(code?.cells.get('builtin_code')).toEqual({ kind: 'scalar', value: 150 });
  });

  it('writes custom operators with their options', () => {
    const options = memoryBytes(Uint8Array.of(1, 2, 3));
    const custom: Node = {
      ...node('My_Op', ['x'], ['y'], { custom_options: { kind: 'bytes', value: options } }),
      domain: 'custom',
      version: 3,
    };
    const again = reread(modelOf(graphOf([custom], [value('x', [4]), value('y', [4])], ['x'], ['y'])));
    const [read] = again.graphs[0].nodes;
    expect([read?.op, read?.domain, read?.version]).toEqual(['My_Op', 'custom', 3]);
    const attribute = read?.attributes.get('custom_options');
    expect(attribute?.kind === 'bytes' && [...attribute.value.read()]).toEqual([1, 2, 3]);
  });

  it.each([
    ['an unknown operator', node('Conv', ['x'], ['y']), /no operator Conv/],
    ['an unknown option', node('SOFTMAX', ['x'], ['y'], { gamma: attr.float(1) }), /no option "gamma"/],
    ['options where there are none', node('RELU', ['x'], ['y'], { alpha: attr.float(1) }), /has no options/],
    [
      'an option of the wrong kind',
      node('SOFTMAX', ['x'], ['y'], { beta: attr.ints([1]) }),
      /cannot be ints/,
    ],
  ])('refuses %s', (_name, wrong, message) => {
    const graph = graphOf([wrong], [value('x', [4]), value('y', [4])], ['x'], ['y']);
    expect(() => encodeTflite(modelOf(graph))).toThrow(message);
  });

  it('writes strings and reads them back', () => {
    const strings = ['a', '', 'héllo'].map((text) => new TextEncoder().encode(text));
    const words = constant('words', {
      dtype: 'string',
      dims: [3],
      data: memoryBytes(new Uint8Array(0)),
      strings,
    });
    const graph = graphOf([], [words], [], ['words']);
    const again = reread(modelOf(graph));
    expect(valueOf(again, 'words').constant?.strings).toEqual(strings);
    expect(valueOf(reread(again), 'words').constant?.strings).toEqual(strings);
  });
});

describe('metadata', () => {
  const plan = { name: 'OfflineMemoryAllocation', data: memoryBytes(new Uint8Array(40)) };
  const names = (model: TfliteModel) => model.metadata.map((each) => each.name);

  it('keeps a memory plan while the tensors are the same ones', () => {
    const model = reread({ ...tinyModel(), metadata: [plan, ...tinyModel().metadata] });
    // Made from scratch: no plan can be known to fit.
    expect(names(model)).toEqual(['note']);
    const bytes = join(encodeTflite(tinyModel()));
    expect(bytes.length).toBeGreaterThan(0);
    const read = readTflite(memoryBytes(bytes)).model;
    const planned = reread({ ...read, metadata: [...read.metadata, plan] });
    expect(names(planned)).toEqual(['note', 'OfflineMemoryAllocation']);
    expect(names(reread({ ...planned, description: 'other' }))).toEqual(names(planned));
    const changed = edited(
      planned,
      (editor) => void editor.addConstant('more', floatTensor([1], Float32Array.of(1))),
    );
    expect(names(reread(changed))).toEqual(names(planned));
    const renamed = edited(planned, (editor) => {
      editor.replaceUses('relu', 'conv');
      editor.removeNode('relu');
    });
    expect(names(reread(renamed))).toEqual(['note']);
  });

  it('is refused where it cannot be kept true', () => {
    const model = stored();
    const packed = { name: 'COMPRESSION_METADATA', data: memoryBytes(new Uint8Array(8)) };
    const compressed = reread({ ...model, metadata: [packed] });
    expect(names(reread(compressed))).toEqual(['COMPRESSION_METADATA']);
    const smaller = edited(compressed, (editor) => {
      editor.replaceUses('relu', 'conv');
      editor.removeNode('relu');
    });
    expect(() => rewritten(smaller)).toThrow(/compressed/);
  });
});

describe('what follows the flatbuffer', () => {
  it('keeps an archive of associated files readable', () => {
    const head = join(encodeTflite(tinyModel()));
    const archive = zipSync({ 'labels.txt': new TextEncoder().encode('cat\ndog\n') }, { level: 0 });
    // Archives are appended by tools that count from the start of the file.
    const view = new DataView(archive.buffer, archive.byteOffset, archive.byteLength);
    const end = archive.length - 22;
    const directory = view.getUint32(end + 16, true);
    view.setUint32(end + 16, directory + head.length, true);
    view.setUint32(directory + 42, head.length, true);
    const file = new Uint8Array([...head, ...archive]);
    expect(Object.keys(unzipSync(file))).toEqual(['labels.txt']);
    const { model } = readTflite(memoryBytes(file));
    const longer = rewritten({
      ...model,
      description: 'a longer description that moves everything behind it',
    });
    expect(longer.length).not.toBe(file.length);
    expect(new TextDecoder().decode(unzipSync(longer)['labels.txt'])).toBe('cat\ndog\n');
  });

  it('refuses to drop fields it does not know', () => {
    const bytes = join(encodeTflite(tinyModel()));
    // The vtable of the model (10 slots at most) says that it is one slot longer, and that slot is filled.
    const view = new DataView(bytes.buffer);
    const root = view.getUint32(0, true);
    const grown = new Uint8Array(bytes.length + 32);
    grown.set(bytes);
    const copy = new DataView(grown.buffer);
    const vtable = root - view.getInt32(root, true);
    const length = view.getUint16(vtable, true);
    const at = bytes.length + (bytes.length % 2);
    grown.set(bytes.subarray(vtable, vtable + length), at);
    copy.setUint16(at, 26, true);
    copy.setUint16(at + 24, 4, true);
    copy.setInt32(root, root - at, true);
    const { model, damage } = readTflite(memoryBytes(grown));
    expect(damage).toEqual([]);
    expect(Buffer.compare(join(encodeTflite(model)), grown)).toBe(0);
    expect(() => rewritten(model)).toThrow(/slot 10/);
  });
});

describe('models beyond 2 GB', () => {
  const rows = 600_000_000;
  const big = () => {
    const weights = { dtype: 'float32' as const, dims: [1, rows], data: new ZeroBytes(4 * rows) };
    const twin = { dtype: 'float32' as const, dims: [1, rows], data: new ZeroBytes(4 * rows) };
    const graph = graphOf(
      [node('FULLY_CONNECTED', ['x', 'w', null], ['y']), node('FULLY_CONNECTED', ['x', 'v', null], ['z'])],
      [
        value('x', [1, rows]),
        constant('w', weights),
        constant('v', twin),
        value('y', [1, 1]),
        value('z', [1, 1]),
      ],
      ['x'],
      ['y', 'z'],
    );
    return modelOf(graph);
  };

  it('puts buffers behind the flatbuffer and reads them there, touching only the structure', () => {
    const file = new JoinedBytes(encodeTflite(big()));
    expect(file.length).toBeGreaterThan(2 * 4 * rows);
    const { model, damage } = readTflite(file);
    expect(damage).toEqual([]);
    expect(file.touched).toBeLessThan(1 << 20);
    expect(valueOf(model, 'w').constant?.data.length).toBe(4 * rows);
    expect(verifyTflite(file)).toEqual([]);
    expect(model.graphs[0].nodes[0]?.inputs).toEqual(['x', 'w', null]);
    const again = new JoinedBytes(encodeTflite({ ...model, description: 'changed' }));
    expect(again.length).toBeGreaterThan(2 * 4 * rows);
    expect(readTflite(again).model.description).toBe('changed');
  });
});
