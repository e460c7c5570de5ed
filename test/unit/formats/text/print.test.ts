import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { analyse } from '../../../../src/analysis/analyse.ts';
import { readModelFile } from '../../../../src/formats/io/models.ts';
import { printModel } from '../../../../src/formats/text/print.ts';
import type { TextForm } from '../../../../src/formats/text/form.ts';
import {
  formatBytes,
  formatFloat,
  formatQuantization,
  formatTensor,
  formatType,
  identifier,
} from '../../../../src/formats/text/tokens.ts';
import { indexText } from '../../../../src/editor/text/model.ts';
import { attr } from '../../../../src/ir/attribute.ts';
import { memoryBytes, missingBytes } from '../../../../src/ir/bytes.ts';
import type { Model, OnnxModel } from '../../../../src/ir/model.ts';
import { tensorType } from '../../../../src/ir/types.ts';
import { graphsOf } from '../../../../src/ir/walk.ts';
import { convNet, floats, onnx, perChannel, perTensor, reluBody, tensor, tflite } from '../../rules/small.ts';
import { hasShared, modelFiles, samples, shared } from '../../support/models.ts';

const golden = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../golden');

function typed(model: Model): TextForm {
  const analysis = analyse(model);
  return printModel(model, { types: (graph, value) => analysis.types.get(graph)?.get(value) });
}

/** Every span must cover the value's name, and every layer line its operator. */
function expectConsistent(model: Model, form: TextForm): void {
  const index = indexText(form);
  const { lines } = index;
  const spans = lines.flatMap((_, line) => index.spansOn(line));
  expect(spans).toHaveLength(form.names.value.length);
  const wrong = spans.filter(
    (span) => lines[span.line]?.slice(span.start, span.end) !== identifier(index.nameOf(span)),
  );
  expect(wrong).toEqual([]);
  const nodes = [...graphsOf(model)].flatMap((graph) => graph.nodes);
  expect([...form.layers].sort()).toEqual(nodes.map((node) => node.id).sort());
  const ops = new Map(nodes.map((node) => [node.id, node.op]));
  const strayed = form.layers.filter(
    (id) => !lines[index.lineOf(id) ?? -1]?.includes(identifier(ops.get(id) ?? '')),
  );
  expect(strayed).toEqual([]);
  const defined = spans.filter((span) => span.role === 'definition');
  expect(new Set(defined.map((span) => span.value)).size).toBe(defined.length);
  for (const { line, end } of form.graphs) {
    expect(lines[line]).toMatch(/\{$/);
    expect(lines[end]).toMatch(/^\s*\}$/);
  }
}

describe('tokens', () => {
  it('quotes what is not an identifier', () => {
    expect(['conv1.weight', '_x', '/0/Conv', '0.weight', '', 'a"b\n'].map(identifier)).toEqual([
      'conv1.weight',
      '_x',
      '"/0/Conv"',
      '"0.weight"',
      '""',
      '"a\\"b\\n"',
    ]);
  });

  it('sizes, floats, types', () => {
    expect([0, 999, 1000, 1729, 999_600, 12_440_000].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '1.00 kB',
      '1.73 kB',
      '1.00 MB',
      '12.4 MB',
    ]);
    const shortest = [0.1, 1e-5, 1 / 3, -0, Number.NaN, Number.NEGATIVE_INFINITY].map((x) =>
      formatFloat(Math.fround(x)),
    );
    expect(shortest).toEqual(['0.1', '0.00001', '0.33333334', '-0', 'nan', '-inf']);
    expect(formatType(tensorType('float32', [1, null, 'batch', 'seq len']))).toBe(
      'float32[1,?,batch,"seq len"]',
    );
    expect(formatType(tensorType('int64', []))).toBe('int64[]');
    expect(formatType(tensorType('int8'))).toBe('int8');
    expect(formatType({ kind: 'sequence', element: tensorType('float32') })).toBe('seq(float32)');
    expect(formatType({ kind: 'map', key: 'int64', value: tensorType('string') })).toBe('map(int64, string)');
    expect(formatType(undefined)).toBe('?');
  });

  it('constants: small ones in full, 64-bit integers exactly, large ones by size, missing ones say so', () => {
    const wide = new BigInt64Array([-(2n ** 63n), 2n ** 63n - 1n]);
    const exact = { dtype: 'int64', dims: [2], data: memoryBytes(new Uint8Array(wide.buffer)) } as const;
    expect(formatTensor(exact)).toBe('int64[2] {-9223372036854775808, 9223372036854775807}');
    expect(formatTensor(floats(1, 0.5))).toBe('float32[2] {1, 0.5}');
    expect(formatTensor(tensor('float32', [16, 3, 3, 3]))).toBe('float32[16,3,3,3] 1.73 kB');
    expect(formatTensor(tensor('int4', [3], new Uint8Array([0x21, 0x0f])))).toBe('int4[3] {1, 2, -1}');
    expect(formatTensor({ dtype: 'float32', dims: [2], data: missingBytes(8, 'gone') })).toBe(
      'float32[2] missing',
    );
    const torn = { dtype: 'float32', dims: [2], data: memoryBytes(new Uint8Array(3)) } as const;
    expect(formatTensor(torn)).toBe('float32[2] 8 B');
  });

  it('quantization', () => {
    expect(formatQuantization(perTensor(0.0078125, -128))).toBe(' q(0.007813, -128)');
    expect(formatQuantization(perChannel(16, 3))).toBe(' q(16 scales 0.01..0.01, axis 3)');
    expect(formatQuantization(undefined)).toBe('');
  });
});

describe('printModel', () => {
  it('prints one operator per line with inferred types and attributes', () => {
    const model = convNet(2, 4, [['act', 'LeakyRelu', ['y'], ['z'], { alpha: attr.float(0.1) }]]);
    const form = typed(model);
    expect(form.text).toBe(`<
  format: "onnx"
  ir_version: 9
  opset_import: ["" : 18]
  producer_name: "test"
  producer_version: "1"
>

main (float32[1,2,4,4] x) => (float32[1,2,4,4] z) {
  [conv] float32[1,2,4,4] y = Conv <pads = [1, 1, 1, 1]> (x, w: float32[2,2,3,3] 144 B)
  [act] float32[1,2,4,4] z = LeakyRelu <alpha = 0.1> (y)
}
`);
    expectConsistent(model, form);
  });

  it('prints bodies indented, and names of the outer graph belong to the outer graph', () => {
    const model = onnx({
      inputs: { c: ['bool', []], x: ['float32', [2]] },
      outputs: ['y'],
      nodes: [['choice', 'If', ['c'], ['y'], { then_branch: { kind: 'graph', value: reluBody } }]],
    });
    const form = printModel(model);
    expect(form.text).toContain(`  [choice] ? y = If <then_branch = graph then> (c)
    then_branch = graph then () => (? t) {
      [inner] ? t = Relu (x)
    }
}`);
    const { names } = form;
    const x = names.values.indexOf('x');
    expect(names.values.lastIndexOf('x')).toBe(x);
    expect([...names.value].flatMap((value, at) => (value === x ? [names.definition[at]] : []))).toEqual([
      1, 0,
    ]);
    expectConsistent(model, form);
  });

  it('prints functions, omitted inputs, optional outputs and metadata', () => {
    const base = onnx({
      inputs: { x: ['float32', [2]] },
      outputs: ['y'],
      constants: { k: floats(1, 2) },
      nodes: [
        ['clip', 'Clip', ['x', '', 'k'], ['y']],
        ['again', 'Add', ['x', 'k'], ['unused']],
      ],
    });
    const model: OnnxModel = {
      ...base,
      metadata: [['note', 'two\nlines']],
      functions: [
        {
          domain: 'my',
          name: 'twice',
          overload: '',
          attributes: ['alpha'],
          defaults: new Map(),
          opsets: new Map([['', 18]]),
          graph: {
            name: '',
            inputs: ['a'],
            outputs: ['b'],
            nodes: [
              {
                id: 'f0',
                name: '',
                op: 'Add',
                domain: '',
                inputs: ['a', 'a'],
                outputs: ['b', null],
                attributes: new Map([['alpha', { kind: 'ref', value: 'alpha' }]]),
              },
            ],
            values: new Map([
              ['a', { id: 'a', name: 'a' }],
              ['b', { id: 'b', name: 'b' }],
            ]),
          },
        },
      ],
    };
    const form = printModel(model);
    expect(form.text).toContain('  metadata "note": "two\\nlines"');
    expect(form.text).toContain('= Clip (x, _, k: float32[2] {1, 2})');
    expect(form.text).toContain('= Add (x, k)\n');
    expect(form.text).toContain(`<domain: "my", opset_import: ["" : 18]>
twice <alpha> (? a) => (? b) {
  ? b, _ = Add <alpha = @alpha> (a, a)
}
`);
    expectConsistent(model, form);
  });

  it('prints TFLite quantization on values and constants', () => {
    const model = tflite({
      inputs: { x: ['int8', [1, 4]] },
      outputs: ['y'],
      types: { y: ['int8', [1, 16]] },
      constants: { w: tensor('int8', [16, 4]) },
      quantization: { x: perTensor(0.5, 3), w: perChannel(16, 0), y: perTensor(0.25) },
      nodes: [['fc', 'FULLY_CONNECTED', ['x', 'w', ''], ['y'], { keep: attr.bool(false) }]],
    });
    expect(printModel(model).text).toContain(
      '  [fc] int8[1,16] q(0.25, 0) y = FULLY_CONNECTED <keep = false> (x, w: int8[16,4] 64 B q(16 scales 0.01..0.01, axis 0), _)',
    );
  });

  it('stays small and quick on a hundred thousand nodes', () => {
    const count = 100_000;
    const model = onnx({
      inputs: { v0: ['float32', [1, 64, 56, 56]] },
      outputs: [`v${count}`],
      nodes: Array.from({ length: count }, (_, index) => [
        `node_${index}`,
        'Relu',
        [`v${index}`],
        [`v${index + 1}`],
      ]),
    });
    const form = printModel(model);
    expect(form.layers).toHaveLength(count);
    expect(form.names.value).toHaveLength(2 * count + 2);
    expect(form.text.length / count).toBeLessThan(60);
  });

  it('leaves out what repeats when an editor would not colour the text any more', () => {
    const count = 60_000;
    const long = (index: number) => `stage.${index}/${'block.'.repeat(30)}${index}/Relu`;
    const model = onnx({
      inputs: { v0: ['float32', [1, 64]] },
      outputs: [`${long(count - 1)}_out`],
      nodes: Array.from({ length: count }, (_, index) => [
        long(index),
        'Relu',
        [index === 0 ? 'v0' : `${long(index - 1)}_out`],
        [`${long(index)}_out`],
      ]),
    });
    const form = printModel(model);
    expect(form.text).not.toMatch(/^ {2}\[/m);
    expect(form.layers).toHaveLength(count);
  });
});

describe('golden', () => {
  const own = hasShared ? path.join(shared, 'models/own') : '';
  const files = [path.join(samples, 'digits.onnx'), ...(hasShared ? modelFiles('.onnx') : [])].filter(
    (file, index) => index === 0 || path.dirname(file) === own,
  );

  it.each(files)('%s', async (file) => {
    const name = path.basename(file, path.extname(file));
    await expect(typed(readModelFile(file).model).text).toMatchFileSnapshot(path.join(golden, `${name}.txt`));
  });
});

/** Of models that are not ours only a digest of the text is kept: what changes shows, what they say does not. */
describe('digests', () => {
  const file = path.join(golden, 'digests.json');
  const models = hasShared ? [...modelFiles('.onnx'), ...modelFiles('.tflite')] : [];
  const others = models.filter((each) => !path.dirname(each).endsWith('own'));

  it.runIf(hasShared)('every other model prints as it did', () => {
    const digests = Object.fromEntries(
      others.map((each) => {
        const { text, layers } = typed(readModelFile(each).model);
        const digest = createHash('sha256').update(text).digest('hex').slice(0, 16);
        return [path.basename(each), `${layers.length} layers, ${text.length} characters, ${digest}`];
      }),
    );
    if (process.env['UPDATE_DOCS'] === '1') fs.writeFileSync(file, `${JSON.stringify(digests, null, 2)}\n`);
    expect(digests).toEqual(JSON.parse(fs.readFileSync(file, 'utf8')));
  });
});

describe('every model', () => {
  it.each([...modelFiles('.onnx'), ...modelFiles('.tflite')])('%s: spans and lines are right', (file) => {
    const { model } = readModelFile(file);
    const form = typed(model);
    expectConsistent(model, form);
  });
});
