import { describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import type { DeviceProfile } from '../../../src/devices/profile.ts';
import { deviceById } from '../../../src/devices/registry.ts';
import { missingBytes } from '../../../src/ir/bytes.ts';
import type { Model } from '../../../src/ir/model.ts';
import { passById } from '../../../src/passes/registry.ts';
import { checkModel, rules } from '../../../src/rules/registry.ts';
import type { Finding, Rule, RuleContext } from '../../../src/rules/rule.ts';
import { targetFor } from '../../../src/devices/targets/registry.ts';
import { convNet, floats, onnx, perChannel, perTensor, scalar, tensor, tflite } from './small.ts';

function device(id: string, change: Partial<DeviceProfile> = {}): DeviceProfile {
  const found = deviceById(id);
  if (found === undefined) throw new Error(`no device ${id}`);
  return { ...found, ...change };
}

function check(model: Model, context: Partial<RuleContext> = {}): readonly Finding[] {
  return checkModel({ model, analysis: analyse(model), budget: {}, ...context });
}

/** The findings of one rule. */
function of(rule: string, model: Model, context: Partial<RuleContext> = {}): readonly Finding[] {
  expect(rules.map((each) => each.id)).toContain(rule);
  return check(model, context).filter((finding) => finding.rule === rule);
}

const wide = convNet(64, 8);
const statistics = { a: floats(1, 1), b: floats(0, 0), m: floats(0, 0), v: floats(1, 1) };
const smallConv = { w: tensor('float32', [2, 2, 3, 3]) };

describe('fit', () => {
  it('exceeds-flash: an error beyond the flash, a warning near it, nothing below', () => {
    const tiny = device('stm32l4r5', { flashBytes: 100_000 });
    expect(of('exceeds-flash', wide, { device: tiny })).toMatchObject([
      { severity: 'error', message: expect.stringContaining('147 kB of 100 kB') },
    ]);
    expect(of('exceeds-flash', wide, { device: tiny, fileBytes: 90_000_000 })[0]?.message).toContain(
      '90.0 MB',
    );
    expect(of('exceeds-flash', wide, { device: device('stm32l4r5', { flashBytes: 160_000 }) })).toMatchObject(
      [{ severity: 'warning' }],
    );
    expect(of('exceeds-flash', wide, { device: device('stm32l4r5') })).toEqual([]);
    expect(of('exceeds-flash', wide)).toEqual([]);
  });

  it('exceeds-ram: counts activations only on a microcontroller, weights as well elsewhere', () => {
    const activations = 2 * 64 * 8 * 8 * 4;
    const weights = 64 * 64 * 9 * 4;
    const mcu = (ramBytes: number) => ({ device: device('stm32l4r5', { ramBytes }) });
    expect(of('exceeds-ram', wide, mcu(activations - 1))).toMatchObject([{ severity: 'error' }]);
    expect(of('exceeds-ram', wide, mcu(activations + 1))).toMatchObject([{ severity: 'warning' }]);
    expect(of('exceeds-ram', wide, mcu(activations * 2))).toEqual([]);
    const board = device('pi4', { ramBytes: activations + weights - 1 });
    expect(of('exceeds-ram', wide, { device: board })).toMatchObject([{ severity: 'error' }]);
  });

  it('exceeds-accelerator-memory: only where the accelerator keeps weights', () => {
    expect(
      of('exceeds-accelerator-memory', wide, { device: device('coral_usb', { onChipBytes: 1000 }) }),
    ).toHaveLength(1);
    expect(of('exceeds-accelerator-memory', wide, { device: device('coral_usb') })).toEqual([]);
    expect(of('exceeds-accelerator-memory', wide, { device: device('pi4') })).toEqual([]);
  });

  it('layer-too-large: a share of the flash, of the budget, or of a model of several layers', () => {
    const flash = { device: device('stm32l4r5', { flashBytes: 400_000 }) };
    const [finding] = of('layer-too-large', wide, flash);
    expect(finding).toMatchObject({ layer: 'conv', message: expect.stringContaining('37 % of the flash') });
    expect(finding?.fixes[0]).toMatchObject({ layers: ['conv'] });
    expect(of('layer-too-large', wide, { budget: { fileBytes: 200_000 } })).toHaveLength(1);
    expect(of('layer-too-large', wide)).toEqual([]);
    expect(of('layer-too-large', convNet(8, 8), { budget: { fileBytes: 1000 } })).toEqual([]);
  });
});

describe('precision', () => {
  it('float-on-integer-device: grouped, and silent on a device with floating point', () => {
    const two = convNet(16, 8, [['second', 'Conv', ['y', 'w2'], ['z']]], {
      w2: tensor('float32', [16, 16, 1, 1]),
    });
    expect(of('float-on-integer-device', two, { device: device('coral_usb') })).toMatchObject([
      { layer: 'conv', layers: ['conv', 'second'], message: expect.stringContaining('(2 layers)') },
    ]);
    expect(of('float-on-integer-device', two, { device: device('pi4') })).toEqual([]);
    expect(of('float-on-integer-device', integerConv(), { device: device('coral_usb') })).toEqual([]);
  });

  it('quantizing fixes suit the device', () => {
    const options = (id: string) =>
      of('float32-weights-large', wide, { device: device(id) })[0]?.fixes[0]?.options;
    expect(options('pi4')).toEqual({ target: 'ort-arm' });
    expect(options('i7-12700h')).toEqual({ target: 'ort-x86-vnni' });
  });

  it('float32-weights-large: names the gain; silent when the weights are small or integers', () => {
    const [finding] = of('float32-weights-large', wide);
    expect(finding?.message).toContain('147 kB');
    expect(finding?.fixes.map((fix) => [fix.pass, fix.title])).toEqual([
      ['quantize-static', expect.stringMatching(/: 110 kB less, about 12.3 kB less RAM$/)],
      // Dynamic quantization leaves the convolutions of ONNX models alone, so it is not offered here.
      ['fp16', expect.stringMatching(/: 73.7 kB less$/)],
    ]);
    expect(finding?.fixes[1]?.gain?.fileBytes).toBeCloseTo(73_660, -3);
    expect(of('float32-weights-large', convNet(8, 8))).toEqual([]);
    expect(of('float32-weights-large', integerConv())).toEqual([]);
  });

  it('nonzero-weight-zero-point: TFLite and ONNX, signed only', () => {
    expect(of('nonzero-weight-zero-point', integerConv({ zeroPoint: 3 }))).toMatchObject([{ layer: 'conv' }]);
    expect(of('nonzero-weight-zero-point', integerConv())).toEqual([]);
    expect(of('nonzero-weight-zero-point', dequantizedWeight(scalar('int8', 5)))).toMatchObject([
      { layer: 'dq' },
    ]);
    expect(of('nonzero-weight-zero-point', dequantizedWeight(scalar('int8', 0)))).toEqual([]);
  });

  it('tflite-bias-axis: a per-channel bias along an axis it does not have', () => {
    expect(of('tflite-bias-axis', integerConv({ biasAxis: 3 }))).toMatchObject([{ layer: 'conv' }]);
    expect(of('tflite-bias-axis', integerConv({ biasAxis: 0 }))).toEqual([]);
  });

  it('hybrid-on-microcontroller: int8 weights against float activations', () => {
    const hybrid = integerConv({ activations: 'float32' });
    expect(of('hybrid-on-microcontroller', hybrid, { device: device('esp32s3') })).toHaveLength(1);
    expect(of('hybrid-on-microcontroller', hybrid, { device: device('pi4') })).toEqual([]);
    expect(of('hybrid-on-microcontroller', integerConv(), { device: device('esp32s3') })).toEqual([]);
  });
});

describe('graph', () => {
  it('batch-norm-not-folded: offers fuse; silent when somebody else reads the convolution', () => {
    const tail = [['bn', 'BatchNormalization', ['y', 'a', 'b', 'm', 'v'], ['z']]] as const;
    const foldable = convNet(2, 4, tail, { ...smallConv, ...statistics });
    expect(of('batch-norm-not-folded', foldable)).toMatchObject([
      {
        layer: 'bn',
        fixes: [
          {
            pass: 'fuse',
            title: expect.stringContaining('Fold 1 batch normalization: 1 layer less, same result'),
          },
        ],
      },
    ]);
    const shared = convNet(2, 4, [...tail, ['add', 'Add', ['y', 'z'], ['s']]], {
      ...smallConv,
      ...statistics,
    });
    expect(of('batch-norm-not-folded', shared)).toEqual([]);
    const computed = { ...statistics, a: undefined };
    const { a: _, ...rest } = computed;
    const dynamic = convNet(2, 4, [['scale', 'ReduceMax', ['x'], ['a']], ...tail], { ...smallConv, ...rest });
    expect(of('batch-norm-not-folded', dynamic)).toEqual([]);
  });

  it('unused-weights: constants nobody reads and layers no output depends on', () => {
    const extra = convNet(2, 4, [], { ...smallConv, forgotten: tensor('float32', [10, 10]) });
    expect(of('unused-weights', extra)[0]?.message).toBe('“forgotten” is never read (400 B).');
    const dead = onnx({
      inputs: { x: ['float32', [1, 4]] },
      outputs: ['y'],
      nodes: [
        ['live', 'Relu', ['x'], ['y']],
        ['dead', 'Relu', ['x'], ['z']],
        ['also', 'Relu', ['z'], ['q']],
      ],
    });
    expect(of('unused-weights', dead)).toMatchObject([{ layer: 'dead', layers: ['dead', 'also'] }]);
    expect(of('unused-weights', wide)).toEqual([]);
  });

  it('redundant-quantize-pair: same parameters only', () => {
    expect(of('redundant-quantize-pair', pair(0.5, 0.5))).toMatchObject([
      { layer: 'q', fixes: [{ pass: 'simplify' }] },
    ]);
    expect(of('redundant-quantize-pair', pair(0.5, 0.25))).toEqual([]);
  });

  it('quantized-conv-without-output: a float result behind a quantized convolution', () => {
    expect(of('quantized-conv-without-output', qdqConv(false))).toMatchObject([{ layer: 'conv' }]);
    expect(of('quantized-conv-without-output', qdqConv(true))).toEqual([]);
    expect(of('quantized-conv-without-output', wide)).toEqual([]);
    // TensorRT wants it so.
    const target = targetFor('tensorrt', 'onnx');
    expect(of('quantized-conv-without-output', qdqConv(false), { target })).toEqual([]);
  });

  it('dynamic-shape: says which, and is a warning where shapes must be fixed', () => {
    const open = onnx({
      inputs: { x: ['float32', [1, 'length']] },
      outputs: ['y'],
      nodes: [['relu', 'Relu', ['x'], ['y']]],
    });
    expect(of('dynamic-shape', open)).toMatchObject([
      { severity: 'information', message: expect.stringContaining('length') },
    ]);
    expect(of('dynamic-shape', open, { device: device('coral_usb') })).toMatchObject([
      { severity: 'warning' },
    ]);
    expect(of('dynamic-shape', wide)).toEqual([]);
  });

  it('unresolved-operator: the cause by name, the consequences once', () => {
    const custom = onnx({
      inputs: { x: ['float32', [1, 4]] },
      outputs: ['c'],
      nodes: [
        ['odd', 'NobodyKnows', ['x'], ['a']],
        ['r1', 'Relu', ['a'], ['b']],
        ['r2', 'Relu', ['b'], ['c']],
      ],
    });
    const findings = of('unresolved-operator', custom);
    expect(findings).toHaveLength(2);
    expect(findings[0]).toMatchObject({ layer: 'odd', message: expect.stringContaining('NobodyKnows') });
    expect(findings[1]).toMatchObject({ layers: ['r1', 'r2'] });
    expect(of('unresolved-operator', wide)).toEqual([]);
  });

  it('unsupported-operator: operators of the profile, and the file format', () => {
    const pi = device('pi4', { unsupported: ['Conv'] });
    expect(of('unsupported-operator', wide, { device: pi })).toMatchObject([
      { severity: 'error', layer: 'conv', message: expect.stringContaining('has no Conv') },
    ]);
    expect(of('unsupported-operator', wide, { device: device('esp32s3') })).toMatchObject([
      { severity: 'warning', message: expect.stringContaining('loads TFLite models, not ONNX') },
    ]);
    expect(of('unsupported-operator', wide, { device: device('pi4') })).toEqual([]);
  });

  it('missing-weights: one finding per file', () => {
    const lost = {
      dtype: 'float32',
      dims: [2, 2, 3, 3],
      data: missingBytes(144, "'w.bin' is absent"),
    } as const;
    expect(of('missing-weights', convNet(2, 4, [], { w: lost }))).toMatchObject([
      { message: "1 weight cannot be read: 'w.bin' is absent." },
    ]);
    expect(of('missing-weights', wide)).toEqual([]);
  });
});

describe('budgets', () => {
  const broken: readonly (readonly [string, Partial<RuleContext>, Partial<RuleContext>])[] = [
    ['over-file-budget', { budget: { fileBytes: 1000 } }, { budget: { fileBytes: 1_000_000 } }],
    ['over-file-budget', { budget: { flashBytes: 1000 } }, { budget: {} }],
    ['over-ram-budget', { budget: { ramBytes: 1000 } }, { budget: { ramBytes: 1_000_000 } }],
    ['over-macs-budget', { budget: { macs: 1000 } }, { budget: { macs: 10_000_000 } }],
    [
      'over-latency-budget',
      { budget: { latencyMs: 0.001 }, device: device('pi4') },
      { budget: { latencyMs: 1000 }, device: device('pi4') },
    ],
  ];
  it.each(broken)('%s', (rule, over, within) => {
    expect(of(rule, wide, over)).toMatchObject([{ severity: 'error' }]);
    expect(of(rule, wide, within)).toEqual([]);
  });

  it('over-latency-budget warns when only the upper end of the interval is above', () => {
    const pi = device('pi4');
    const [finding] = of('over-latency-budget', wide, { device: pi, budget: { latencyMs: 0.001 } });
    const estimate = Number(finding?.message.match(/Estimated at ([\d.]+) ms/)?.[1]);
    expect(
      of('over-latency-budget', wide, { device: pi, budget: { latencyMs: estimate * 1.05 } }),
    ).toMatchObject([{ severity: 'warning' }]);
  });
});

describe('checkModel', () => {
  it('puts the worst first', () => {
    const order = check(wide, { device: device('coral_usb'), budget: { macs: 1 } }).map(
      (each) => each.severity,
    );
    const rank = { error: 0, warning: 1, information: 2, hint: 3 };
    expect(order.map((each) => rank[each])).toEqual(order.map((each) => rank[each]).sort());
    expect(order.length).toBeGreaterThan(2);
  });

  it('a rule that throws becomes a finding that names it, and the others are heard', () => {
    const bad: Rule = {
      id: 'bad',
      severity: 'error',
      title: 'bad',
      manual: 'bad',
      check: () => {
        throw new Error('broken on purpose');
      },
    };
    const findings = checkModel({ model: wide, analysis: analyse(wide), budget: { macs: 1 } }, [
      bad,
      ...rules,
    ]);
    expect(findings.find((each) => each.rule === 'internal')?.message).toContain('bad failed');
    expect(findings.some((each) => each.rule === 'over-macs-budget')).toBe(true);
  });

  it('rules have distinct ids, a manual with example and remedy, and fixes that name passes', () => {
    expect(new Set(rules.map((each) => each.id)).size).toBe(rules.length);
    for (const rule of rules) {
      expect(rule.id).toMatch(/^[a-z0-9-]+$/);
      expect(rule.manual).toContain('**Example.**');
      expect(rule.manual).toContain('**Remedy.**');
    }
    const fixes = check(wide, { device: device('pi4'), budget: { fileBytes: 1 } }).flatMap(
      (each) => each.fixes,
    );
    expect(fixes.length).toBeGreaterThan(0);
    for (const fix of fixes) expect(passById(fix.pass)?.id).toBe(fix.pass);
  });
});

interface IntegerConv {
  readonly zeroPoint?: number;
  readonly biasAxis?: number;
  readonly activations?: 'int8' | 'float32';
}

function integerConv({ zeroPoint = 0, biasAxis = 0, activations = 'int8' }: IntegerConv = {}) {
  const integer = activations === 'int8';
  return tflite({
    inputs: { x: [activations, [1, 8, 8, 16]] },
    outputs: ['y'],
    types: { y: [activations, [1, 8, 8, 32]] },
    constants: { w: tensor('int8', [32, 1, 1, 16]), b: tensor(integer ? 'int32' : 'float32', [32]) },
    quantization: {
      w: perChannel(32, 0, zeroPoint),
      ...(integer && { x: perTensor(0.1, -3), y: perTensor(0.2, 4), b: perChannel(32, biasAxis) }),
    },
    nodes: [
      [
        'conv',
        'CONV_2D',
        ['x', 'w', 'b'],
        ['y'],
        {
          padding: { kind: 'enum', value: 0, name: 'SAME' },
          stride_w: { kind: 'int', value: 1 },
          stride_h: { kind: 'int', value: 1 },
        },
      ],
    ],
  });
}

function dequantizedWeight(zero: ReturnType<typeof scalar>) {
  return onnx({
    inputs: { x: ['float32', [1, 4]] },
    outputs: ['y'],
    constants: { w: tensor('int8', [4, 4]), s: scalar('float32', 0.1), z: zero },
    nodes: [
      ['dq', 'DequantizeLinear', ['w', 's', 'z'], ['wf']],
      ['mm', 'MatMul', ['x', 'wf'], ['y']],
    ],
  });
}

function pair(first: number, second: number) {
  return onnx({
    inputs: { x: ['uint8', [1, 4]] },
    outputs: ['y'],
    constants: { s1: scalar('float32', first), s2: scalar('float32', second), z: scalar('uint8', 7) },
    nodes: [
      ['dq', 'DequantizeLinear', ['x', 's1', 'z'], ['f']],
      ['q', 'QuantizeLinear', ['f', 's2', 'z'], ['y']],
    ],
  });
}

/** DQ → Conv → Relu → Q → DQ, or without the last two. */
function qdqConv(quantizedResult: boolean) {
  const parameters = ['s', 'z'];
  return onnx({
    inputs: { x: ['uint8', [1, 4, 8, 8]] },
    outputs: ['out'],
    constants: {
      w: tensor('int8', [4, 4, 3, 3]),
      s: scalar('float32', 0.1),
      z: scalar('uint8', 0),
      zw: scalar('int8', 0),
    },
    nodes: [
      ['dqx', 'DequantizeLinear', ['x', ...parameters], ['xf']],
      ['dqw', 'DequantizeLinear', ['w', 's', 'zw'], ['wf']],
      ['conv', 'Conv', ['xf', 'wf'], ['y']],
      ['relu', 'Relu', ['y'], [quantizedResult ? 'r' : 'out']],
      ...(quantizedResult
        ? ([
            ['q', 'QuantizeLinear', ['r', ...parameters], ['rq']],
            ['dq', 'DequantizeLinear', ['rq', ...parameters], ['out']],
          ] as const)
        : []),
    ],
  });
}
