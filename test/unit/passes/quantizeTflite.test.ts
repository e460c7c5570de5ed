import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { GraphEditor } from '../../../src/ir/edit.ts';
import type { Graph, Model, Node, TfliteModel, Value } from '../../../src/ir/model.ts';
import { withMainGraph } from '../../../src/ir/model.ts';
import { readIntegers } from '../../../src/ir/numbers.ts';
import type { Tensor } from '../../../src/ir/tensor.ts';
import { targetFor } from '../../../src/devices/targets/registry.ts';
import { operatorRule } from '../../../src/devices/targets/target.ts';
import { hasShared, samples, shared } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { runPass } from './build.ts';
import { calibratorFor } from './calibrate.ts';
import { sqnrDb } from './runtime.ts';
import { runTflite } from './tflite.ts';

beforeAll(useSourceRunner);

const digits = () => readModelFile(path.join(samples, 'digits.tflite')).model as TfliteModel;

/** Names every breach of the int8 specification of LiteRT (quantization_spec.md) in a graph. */
function breaches(graph: Graph): string[] {
  const found: string[] = [];
  for (const node of graph.nodes) {
    const report = (what: string) => found.push(`${node.op} ${node.id}: ${what}`);
    const values = (ids: Node['inputs']) => ids.map((id) => (id === null ? undefined : graph.values.get(id)));
    const inputs = values(node.inputs);
    const [output] = values(node.outputs);
    if (dtype(output) !== 'int8' || node.op === 'QUANTIZE') continue;
    const rule = operatorRule(targetFor('xnnpack', 'tflite'), node.op, 'int8');
    const encoding = (value: Value | undefined) =>
      `${value?.quantization?.scale.join()} ${value?.quantization?.zeroPoint.join()}`;
    if (output?.quantization?.scale.length !== 1) report('the result has no encoding of its own');
    for (const value of inputs) if (dtype(value) === 'float32') report(`${value?.id} is float`);
    if (rule?.kind === 'fixed' && encoding(output) !== `${Math.fround(rule.scale)} ${rule.zeroPoint}`)
      report('not fixed');
    if (rule?.kind === 'same' && encoding(inputs[rule.from]) !== encoding(output))
      report('input and result differ');
    if (rule?.kind === 'all') {
      for (const value of inputs)
        if (dtype(value) === 'int8' && encoding(value) !== encoding(output)) report('inputs differ');
    }
    if (rule?.kind === 'weighted') checkWeighted(node, inputs, report);
  }
  return found;
}

function dtype(value: Value | undefined): string | undefined {
  return value?.type?.kind === 'tensor' ? value.type.dtype : undefined;
}

function checkWeighted(
  node: Node,
  inputs: readonly (Value | undefined)[],
  report: (what: string) => void,
): void {
  const [x, weight, bias] = inputs;
  const scales = weight?.quantization?.scale ?? new Float32Array();
  if (weight?.quantization?.zeroPoint.some((zero) => zero !== 0)) report('a weight has a zero point');
  const codes = weight?.constant === undefined ? [] : readIntegers(weight.constant);
  if (codes.some((code) => code < -127)) report('a weight code is -128');
  const axis = node.op === 'DEPTHWISE_CONV_2D' ? 3 : 0;
  if (scales.length > 1 && weight?.quantization?.axis !== axis) report('the weight axis is wrong');
  if (node.op === 'FULLY_CONNECTED' && scales.length !== 1) report('a dense layer is per channel');
  if (bias === undefined) return;
  if (dtype(bias) !== 'int32' || bias.quantization?.axis !== 0) report('the bias is no int32 along axis 0');
  const input = x?.quantization?.scale[0] ?? Number.NaN;
  scales.forEach((scale, c) => {
    const expected = Math.fround(scale * input);
    const own = bias.quantization?.scale[c] ?? Number.NaN;
    if (!(Math.abs(own - expected) <= expected * 1e-6)) report(`bias scale ${c} is not the product`);
  });
}

const floats = [
  path.join(samples, 'digits.tflite'),
  ...(hasShared
    ? [
        'ad01_fp32',
        'hello_world_float',
        'kws_ref_model_float32',
        'pretrainedResnet',
        'trained_lstm',
        'vww_96_float',
      ].map((name) => path.join(shared, 'models/tflite', `${name}.tflite`))
    : []),
];

/** What the same data gave when this test was written, rounded down; made-up inputs are harder than real ones. */
const leastSqnr: Readonly<Record<string, number>> = {
  hello_world_float: 12,
  pretrainedResnet: 18,
  ad01_fp32: 20,
};

describe('full-integer TFLite', () => {
  it.each(floats.map((file) => [path.basename(file, '.tflite'), file]))(
    '%s keeps the specification and runs',
    async (name, file) => {
      const { model } = readModelFile(file);
      const { model: after } = await runPass('quantize-static', model, { calibrator: calibratorFor(model) });
      expect(breaches(after.graphs[0])).toEqual([]);
      const noise = sqnrDb(await runTflite(model), await runTflite(after, model));
      console.info(`${name}: ${noise.toFixed(1)} dB on made-up inputs`);
      expect(noise).toBeGreaterThan(leastSqnr[name] ?? 25);
    },
  );

  it('goes on from weights that dynamic quantization stored', async () => {
    const model = digits();
    const { model: hybrid } = await runPass('quantize-dynamic', model);
    const { model: after, notes } = await runPass('quantize-static', hybrid, {
      calibrator: calibratorFor(model),
    });
    expect(breaches(after.graphs[0])).toEqual([]);
    expect(notes).toContainEqual(expect.stringMatching(/^9 of 9 operators run on int8/));
    expect(sqnrDb(await runTflite(model), await runTflite(after, model))).toBeGreaterThan(25);
  });

  it('takes and gives int8, or floats when asked to', async () => {
    const model = digits();
    const border = (of: Model) =>
      [...of.graphs[0].inputs, ...of.graphs[0].outputs].map((id) => dtype(of.graphs[0].values.get(id)));
    const calibrator = calibratorFor(model);
    const codes = await runPass('quantize-static', model, { calibrator });
    const real = await runPass('quantize-static', model, { calibrator, options: { io: 'float' } });
    expect(border(codes.model)).toEqual(['int8', 'int8']);
    expect(border(real.model)).toEqual(['float32', 'float32']);
    expect(real.model.graphs[0].outputs).toEqual(model.graphs[0].outputs);
    const [a, b] = [await runTflite(codes.model, model), await runTflite(real.model, model)];
    expect(sqnrDb(a, b)).toBeGreaterThan(60);
  });

  it('puts floats between DEQUANTIZE and QUANTIZE for an operator without integer kernel', async () => {
    const model = withSine(digits());
    const { model: after, notes } = await runPass('quantize-static', model, {
      calibrator: calibratorFor(model),
    });
    const ops = after.graphs[0].nodes.map((node) => node.op);
    const at = ops.indexOf('SIN');
    expect([ops[at - 1], ops[at + 1]]).toEqual(['DEQUANTIZE', 'QUANTIZE']);
    expect(notes.at(-1)).toBe('kept in float between DEQUANTIZE and QUANTIZE: 1 SIN');
    expect(sqnrDb(await runTflite(model), await runTflite(after, model))).toBeGreaterThan(20);
  });

  it('requantizes what enters a concatenation with a fixed encoding', async () => {
    const model = withConcatenation(digits());
    const { model: after } = await runPass('quantize-static', model, { calibrator: calibratorFor(model) });
    expect(breaches(after.graphs[0])).toEqual([]);
    expect(after.graphs[0].nodes.map((node) => node.op)).toContain('QUANTIZE');
    expect(sqnrDb(await runTflite(model), await runTflite(after, model))).toBeGreaterThan(25);
  });

  it('quantizes a dense layer per channel when asked to', async () => {
    const model = digits();
    const options = { perChannelDense: true };
    const { model: after } = await runPass('quantize-static', model, {
      calibrator: calibratorFor(model),
      options,
    });
    const dense = after.graphs[0].nodes.find((node) => node.op === 'FULLY_CONNECTED');
    expect(after.graphs[0].values.get(dense?.inputs[1] ?? '')?.quantization?.scale).toHaveLength(64);
    expect(sqnrDb(await runTflite(model), await runTflite(after, model))).toBeGreaterThan(25);
  });
});

function node(
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: Node['attributes'] = new Map(),
): Node {
  return { id: `test/${op}/${output}`, name: '', op, domain: '', inputs, outputs: [output], attributes };
}

/** A SIN behind the first RELU. */
function withSine(model: TfliteModel): TfliteModel {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  const relu = graph.nodes.find((each) => each.op === 'RELU') as Node;
  const output = relu.outputs[0] as string;
  const type = graph.values.get(output)?.type;
  const before = editor.addValue('before_sine', type && { type });
  editor.replaceNode(relu.id, [{ ...relu, outputs: [before] }, node('SIN', [before], output)]);
  return withMainGraph(model, editor.finish());
}

/** The output becomes logits and their LOGISTIC, side by side. */
function withConcatenation(model: TfliteModel): TfliteModel {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  const last = graph.nodes.at(-1) as Node;
  const logits = last.outputs[0] as string;
  const value = graph.values.get(logits) as Value;
  const type = value.type;
  if (type?.kind !== 'tensor') throw new Error('no type');
  const squashed = editor.addValue('squashed', { type });
  const joined = editor.addValue('joined', { type: { ...type, shape: [1, 20] } });
  const options: Node['attributes'] = new Map([
    ['axis', { kind: 'int', value: 1 }],
    ['fused_activation_function', { kind: 'enum', value: 0, name: 'NONE' }],
  ]);
  editor.insertAfter(last.id, [
    node('LOGISTIC', [logits], squashed),
    node('CONCATENATION', [logits, squashed], joined, options),
  ]);
  editor.setOutputs([joined]);
  return { ...withMainGraph(model, editor.finish()), signatures: [] };
}

describe('dynamic quantization of TFLite', () => {
  it.each(floats.map((file) => [path.basename(file, '.tflite'), file]))('%s runs', async (name, file) => {
    const { model } = readModelFile(file);
    // The one runtime that keeps state knows no dense hybrid kernel per channel.
    for (const options of name === 'trained_lstm' ? [{}] : [{}, { perChannelDense: true }]) {
      const { model: after } = await runPass('quantize-dynamic', model, { options });
      if (after === model) continue;
      const noise = sqnrDb(await runTflite(model), await runTflite(after));
      console.info(`${name} ${JSON.stringify(options)}: ${noise.toFixed(1)} dB on made-up inputs`);
      expect(noise).toBeGreaterThan(18);
    }
  });
});

describe('weights of four bits', () => {
  it.each(['w4a8', 'w1a8'])('%s packed: the same codes in half the bytes', async (scheme) => {
    const model = digits();
    const run = async (packed: boolean) => {
      const calibrator = calibratorFor(model, undefined, 8);
      const options = { scheme, packed, rounding: 'nearest' };
      return (await runPass('quantize-static', model, { options, calibrator })).model as TfliteModel;
    };
    const [wide, packed] = [await run(false), await run(true)];
    const weights = (of: TfliteModel) =>
      of.graphs[0].nodes
        .filter(({ op }) => op === 'CONV_2D' || op === 'FULLY_CONNECTED')
        .map(({ inputs }) => of.graphs[0].values.get(inputs[1] as string)?.constant);
    const types = weights(packed).map((tensor) => tensor?.dtype);
    expect(types.filter((type) => type === 'int4').length).toBeGreaterThan(1);
    for (const [i, tensor] of weights(packed).entries())
      expect(readIntegers(tensor as Tensor)).toEqual(readIntegers(weights(wide)[i] as Tensor));
    // LiteRT's kernels for int4 and int8 weights compute the same integers.
    expect(await runTflite(packed, model)).toEqual(await runTflite(wide, model));
  });

  it('stay in eight where the target has no kernels for them', async () => {
    const calibrator = calibratorFor(digits(), undefined, 4);
    const options = { scheme: 'w4a8', packed: true, rounding: 'nearest', target: 'ethos-u' };
    const { model } = await runPass('quantize-static', digits(), { options, calibrator });
    const types = [...model.graphs[0].values.values()].map(({ constant }) => constant?.dtype);
    expect(types).not.toContain('int4');
  });
});

describe('a model that is quantized already', () => {
  it('is refused with what can be done instead', async () => {
    const float = digits();
    const calibrator = calibratorFor(float);
    const once = await runPass('quantize-static', float, { calibrator });
    await expect(runPass('quantize-static', once.model, { calibrator })).rejects.toThrow(
      /quantized already \(\d+ of \d+ layers give integers\): the audit .* float model$/,
    );
  });
});
