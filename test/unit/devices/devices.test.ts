import fs from 'node:fs';
import path from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { calibrate } from '../../../src/devices/calibrate.ts';
import { estimateOn, fitOf, latencyOf } from '../../../src/devices/estimate.ts';
import { parseDevice } from '../../../src/devices/parse.ts';
import type { DeviceProfile } from '../../../src/devices/profile.ts';
import { builtinDevices, deviceById } from '../../../src/devices/registry.ts';
import schema from '../../../src/devices/schemas/device.schema.json' with { type: 'json' };
import { workOf } from '../../../src/devices/work.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { KerfError } from '../../../src/ir/errors.ts';
import { parseCsv } from '../../bench/devices/csv.ts';
import { inPrecision, macsOf } from '../../bench/devices/builder.ts';
import {
  autoEncoder,
  densenet121,
  dsCnn,
  googlenet,
  resnet,
  resnet8,
  shufflenetV2,
  vgg,
  vit,
} from '../../bench/devices/classicNets.ts';
import { mobilenetV1, mobilenetV2, mobilenetV3 } from '../../bench/devices/mobileNets.ts';
import type { Net } from '../../bench/devices/builder.ts';
import { convNet, onnx, scalar, tensor } from '../rules/small.ts';
import { hasShared, shared } from '../support/models.ts';

function named(id: string, change: Partial<DeviceProfile> = {}): DeviceProfile {
  const device = deviceById(id);
  if (device === undefined) throw new Error(`no device ${id}`);
  return { ...device, ...change };
}

describe('registry', () => {
  it('has more than a dozen devices of every kind, with distinct ids and sources', () => {
    expect(builtinDevices.length).toBeGreaterThan(15);
    expect(new Set(builtinDevices.map((each) => each.id)).size).toBe(builtinDevices.length);
    expect(new Set(builtinDevices.map((each) => each.class))).toEqual(
      new Set(['mcu', 'cpu', 'npu', 'gpu', 'host']),
    );
    for (const { precisions, activeWatts, powerScope } of builtinDevices) {
      for (const profile of Object.values(precisions)) expect(profile.source.length).toBeGreaterThan(10);
      if (activeWatts !== undefined) expect(powerScope).toMatch(/\w/);
    }
  });

  it('prefers the user’s own profiles', () => {
    const own = named('pi4', { name: 'mine' });
    expect(deviceById('pi4', [own])?.name).toBe('mine');
    expect(deviceById('nobody')).toBeUndefined();
  });
});

describe('device files', () => {
  const accepts = new Ajv({ allowUnionTypes: true }).compile(schema);
  const good = structuredClone(named('pi4'));
  const parses = (value: unknown): boolean => {
    try {
      parseDevice(value);
      return true;
    } catch (error) {
      if (KerfError.is(error, 'malformed')) return false;
      throw error;
    }
  };

  it('every built-in profile obeys the schema', () => {
    for (const device of builtinDevices) expect(accepts(device), JSON.stringify(accepts.errors)).toBe(true);
  });

  it('the hand-written checks and the schema agree on every single change', () => {
    const wrong = [null, 'x', '', -1, 0, 0.5, 1, true, [], ['onnx'], [1], {}, { float32: {} }];
    for (const key of Object.keys(schema.properties)) {
      for (const value of [...wrong, undefined]) {
        const changed: Record<string, unknown> = { ...good, [key]: value };
        if (value === undefined) delete changed[key];
        expect(parses(changed), `${key} = ${JSON.stringify(value)}`).toBe(accepts(changed));
      }
    }
    for (const key of [...Object.keys(schema.definitions.precision.properties), 'extra']) {
      for (const value of [...wrong, undefined]) {
        const float32: Record<string, unknown> = { ...good.precisions.float32, [key]: value };
        if (value === undefined) delete float32[key];
        const changed = { ...good, precisions: { float32 } };
        expect(parses(changed), `float32.${key} = ${JSON.stringify(value)}`).toBe(accepts(changed));
      }
    }
  });

  it('names the file, the field and the reason', () => {
    const bad = { ...good, precisions: { int8: { ...good.precisions.int8, depthwise: 'fast' } } };
    expect(() => parseDevice(bad, 'my.device.json')).toThrowError(
      expect.objectContaining({
        reason: 'malformed',
        line: 'my.device.json: precisions.int8.depthwise: is not a number above 0',
      }),
    );
  });
});

describe('estimate', () => {
  it('is the sum of compute, memory and overhead, by hand', () => {
    const device = named('pi4', {
      bandwidth: 1e9,
      opOverhead: 1e-6,
      invokeOverhead: 1e-5,
      precisions: {
        float32: {
          gmacsPerSecond: 10,
          depthwise: 0.1,
          dense3x3: 2,
          fullyConnected: 1,
          source: 'by hand',
          basis: 'table',
        },
      },
    });
    const model = convNet(16, 8);
    const macs = 16 * 16 * 9 * 64;
    const bytes = (2 * 16 * 64 + 16 * 16 * 9) * 4;
    const seconds = macs / 20e9 + bytes / 1e9 + 1e-6 + 1e-5;
    const report = estimateOn(device, model, analyse(model), { fileBytes: 50_000 });
    expect(report.latencyMs).toBeCloseTo(seconds * 1e3, 9);
    expect(report.energyMj).toBeCloseTo(seconds * 1e3 * (device.activeWatts ?? Number.NaN), 9);
    expect(report.energyScope).toBe('whole board at the wall');
    expect(report.flashBytes).toBe(50_000);
    // The file alone, without the weights that belong beside it: they take flash all the same.
    expect(estimateOn(device, model, analyse(model), { fileBytes: 5000 }).flashBytes).toBe(16 * 16 * 9 * 4);
    expect(report.layers).toMatchObject([{ id: 'conv', precision: 'float32', bound: 'memory' }]);
  });

  it('knows first layers, depthwise, 3×3, and vector products', () => {
    const model = onnx({
      inputs: { x: ['float32', [1, 3, 16, 16]] },
      outputs: ['out'],
      constants: {
        w0: tensor('float32', [32, 3, 3, 3]),
        w1: tensor('float32', [32, 1, 3, 3]),
        w2: tensor('float32', [32, 32, 3, 3]),
        w3: tensor('float32', [64, 32, 1, 1]),
        w4: tensor('float32', [10, 64]),
      },
      nodes: [
        ['stem', 'Conv', ['x', 'w0'], ['a'], same],
        ['dw', 'Conv', ['a', 'w1'], ['b'], { ...same, group: { kind: 'int', value: 32 } }],
        ['dense', 'Conv', ['b', 'w2'], ['c'], same],
        ['relu', 'Relu', ['c'], ['d']],
        ['point', 'Conv', ['d', 'w3'], ['e']],
        ['pool', 'GlobalAveragePool', ['e'], ['f']],
        ['flat', 'Flatten', ['f'], ['g']],
        ['fc', 'Gemm', ['g', 'w4'], ['out'], { transB: { kind: 'int', value: 1 } }],
      ],
    });
    expect(workOf(model, analyse(model)).map((work) => work.class)).toEqual([
      'depthwise',
      'depthwise',
      'dense3x3',
      'free',
      'generic',
      'other',
      'free',
      'fullyConnected',
    ]);
  });

  it('x · sigmoid(x) is one operator, a gate of something else is not', () => {
    const gated = (other: string) =>
      onnx({
        inputs: { x: ['float32', [1, 8]], g: ['float32', [1, 8]] },
        outputs: ['y'],
        nodes: [
          ['gate', 'Sigmoid', ['x'], ['s']],
          ['mul', 'Mul', [other, 's'], ['y']],
        ],
      });
    const classes = (model: ReturnType<typeof gated>) =>
      workOf(model, analyse(model)).map((work) => work.class);
    expect(classes(gated('x'))).toEqual(['free', 'other']);
    expect(classes(gated('g'))).toEqual(['other', 'other']);
  });

  it('a QDQ model runs on integers: one byte per element, no cost for the pairs, an arena a quarter as large', () => {
    const model = qdq();
    const works = workOf(model, analyse(model));
    const conv = works.find((work) => work.id === 'conv');
    expect(conv).toMatchObject({
      precision: 'int8',
      activationBytes: 2 * 16 * 8 * 8,
      weightBytes: 16 * 16 * 9,
    });
    expect(works.filter((work) => /Linear/.test(work.op)).map((work) => [work.id, work.class])).toEqual([
      ['qx', 'other'],
      ['dqx', 'free'],
      ['dqw', 'free'],
      ['qy', 'free'],
      ['dqy', 'other'],
    ]);
    const report = estimateOn(named('stm32l4r5'), model, analyse(model));
    const float = 16 * 8 * 8 * 4;
    expect(report.ramBytes).toBe(float + float / 4);
  });

  it('has no number where something is unknown, and says why', () => {
    const custom = onnx({
      inputs: { x: ['float32', [1, 4]] },
      outputs: ['y'],
      nodes: [['odd', 'NobodyKnows', ['x'], ['y']]],
    });
    const report = estimateOn(named('pi4'), custom, analyse(custom));
    expect(report).toMatchObject({ latencyMs: null, energyMj: null, ramBytes: null, flashBytes: null });
    expect(report.notes[0]).toContain('NobodyKnows');
    expect(estimateOn(named('host'), convNet(8, 8), analyse(convNet(8, 8))).notes[0]).toContain('calibrated');
    const refused = estimateOn(named('coral_usb'), convNet(8, 8), analyse(convNet(8, 8)));
    expect(refused.latencyMs).toBeNull();
    expect(refused.unsupported.map((each) => [each.layer, each.fatal])).toEqual([
      ['', false],
      ['conv', true],
    ]);
  });

  it('a layer that falls back has no cost, and the model still runs', () => {
    const model = convNet(8, 8);
    const npu = named('coral_usb', { unsupported: [], formats: ['onnx'], supported: ['Relu'] });
    const report = estimateOn(npu, model, analyse(model));
    expect(report.unsupported).toEqual([
      {
        layer: 'conv',
        op: 'Conv',
        reason: 'Conv falls back to the processor',
        fatal: false,
        fallsBack: true,
      },
    ]);
    expect(report.latencyMs).toBeNull();
    expect(report.notes).toEqual(['1 layer falls back to a processor whose speed is not known.']);
  });

  it('streams the weights that do not stay on the accelerator', () => {
    const small = named('coral_usb', { onChipBytes: 1000, streamBandwidth: 1e6 });
    const net = inPrecision([...mobilenetV2(0.35, 96)], 'int8');
    const weights = net.reduce((sum, work) => sum + work.weightBytes, 0);
    const [streamed, kept] = [small, { ...small, onChipBytes: 1e9 }].map(
      (each) => latencyOf(each, net).ms ?? Number.NaN,
    );
    expect((streamed ?? 0) - (kept ?? 0)).toBeCloseTo(((weights - 1000) / 1e6) * 1000, 3);
  });

  it('explains the published cost of VGG on an Edge TPU by its memory', () => {
    const report = latencyOf(named('coral_usb'), inPrecision(vgg(16), 'int8'));
    expect((report.ms ?? 0) / 296).toBeGreaterThan(1 / report.uncertainty);
    expect((report.ms ?? 0) / 296).toBeLessThan(report.uncertainty);
  });

  it('fits: tight below 15 % of room', () => {
    expect([80, 86, 100, 101].map((used) => fitOf(used, 100))).toEqual([
      'fits',
      'tight',
      'tight',
      'does not fit',
    ]);
    expect(fitOf(null, 100)).toBe('unknown');
    expect(fitOf(5, undefined)).toBe('unknown');
  });
});

describe('calibration', () => {
  it('scales the whole profile to one measurement', () => {
    const host = named('host');
    const works = mobilenetV2(1, 224);
    const ready = { ...host, calibrated: true };
    const predicted = latencyOf(ready, works).ms ?? Number.NaN;
    const scaled = calibrate(host, [{ works, medianMs: predicted * 3 }]);
    expect(latencyOf(scaled, works).ms).toBeCloseTo(predicted * 3, 6);
    expect(latencyOf(scaled, works)).toMatchObject({ basis: 'calibrated', uncertainty: 1.5 });
  });

  it('refuses noise', () => {
    const works = mobilenetV2(1, 224);
    expect(() => calibrate(named('host'), [{ works, medianMs: 10, p90Ms: 20 }])).toThrow(/too noisy/);
  });
});

describe('architectures of the fit', () => {
  const published: readonly (readonly [string, Net, number])[] = [
    ['MobileNetV1', mobilenetV1(1, 224), 568.7],
    ['MobileNetV2', mobilenetV2(1, 224), 300.8],
    ['MobileNetV3 large', mobilenetV3('large', 1, 224), 217],
    ['ResNet-18', resnet({ depth: 18 }), 1814],
    ['ResNet-50', resnet({ depth: 50 }), 4089],
    ['VGG-16', vgg(16), 15470.3],
    ['GoogLeNet', googlenet(), 1498],
    ['DenseNet-121', densenet121(), 2834],
    ['ShuffleNetV2', shufflenetV2(), 144.9],
    ['ViT-B/16', vit(768, 12, 12), 17563.8],
    ['MLPerf Tiny IC', resnet8(), 12.501632],
    ['MLPerf Tiny VWW', mobilenetV1(0.25, 96, 3, 2), 7.489664],
    ['MLPerf Tiny KWS', dsCnn(), 2.656768],
    ['MLPerf Tiny AD', autoEncoder(), 0.264192],
  ];
  it.each(published)('%s has the published MACs', (_, net, millions) => {
    expect(macsOf(net) / 1e6 / millions).toBeCloseTo(1, 2);
  });
});

describe.runIf(hasShared)('published measurements', () => {
  const pairs = [
    ['pi4', /^TFLite 2\.7/, 'float32', /^mobilenet-v2-1\.0-224$/, 'mobilenet_v2'],
    ['pi4', /^TFLite 2\.7/, 'float32', /^resnet50$/, 'resnet50'],
    ['pi4', /^TFLite 2\.7/, 'float32', /^mobilenet-v3-large_224_1\.0$/, 'mobilenet_v3_large'],
    ['pi5', /^ncnn CPU/, 'fp32/fp16', /^resnet50$/, 'resnet50'],
    ['pi5', /^ncnn CPU/, 'fp32/fp16', /^resnet18$/, 'resnet18'],
    ['pi5', /^ncnn CPU/, 'fp32/fp16', /^mobilenet_v2$/, 'mobilenet_v2'],
    ['pi3bplus', /^ncnn CPU/, 'fp32/fp16', /^efficientnet_b0$/, 'efficientnet_b0'],
    ['pi3bplus', /^ncnn CPU/, 'fp32/fp16', /^resnet50$/, 'resnet50'],
    ['galaxy_s24', /^LiteRT/, 'float', /^MobileNet-v2$/, 'mobilenet_v2'],
    ['galaxy_s24', /^LiteRT/, 'float', /^ResNet18$/, 'resnet18'],
    ['galaxy_s24', /^LiteRT/, 'float', /^ResNet50$/, 'resnet50'],
    ['galaxy_s24', /^LiteRT/, 'float', /^EfficientNet-B0$/, 'efficientnet_b0'],
    ['galaxy_s24', /^LiteRT/, 'float', /^SqueezeNet-1\.1$/, 'squeezenet1_1'],
    ['', /timm/, 'fp32', /^resnet18$/, 'resnet18'],
    ['', /timm/, 'fp32', /^swin_tiny_patch4_window7_224$/, 'swin_t'],
    ['', /timm/, 'fp32', /^mobilenetv2_100$/, 'mobilenet_v2'],
  ] as const;

  it('four in five of the model files from other sources lie inside the stated interval', () => {
    const outside = pairs.flatMap(([id, runtime, precision, name, file]) => {
      const row = table.find(
        (each) =>
          each['device_id'] === id &&
          runtime.test(each['runtime'] ?? '') &&
          (each['precision'] ?? '').startsWith(precision) &&
          name.test(each['model'] ?? '') &&
          /224/.test(each['input'] ?? '') &&
          each['threads'] !== '1',
      );
      if (row === undefined) return [`${id} ${file}: no row`];
      const { model } = readModelFile(path.join(shared, 'models/skeletons', `${file}.onnx`));
      const [low, high] = estimateOn(named(id === '' ? 'i7-12700h' : id), model, analyse(model))
        .latencyRangeMs ?? [0, 0];
      const ms = Number(row['latency_ms']);
      return ms >= low && ms <= high
        ? []
        : [`${id} ${file}: ${ms} outside ${low.toFixed(2)} to ${high.toFixed(2)}`];
    });
    expect(outside.length, outside.join('\n')).toBeLessThanOrEqual(pairs.length / 5);
  });

  const files = {
    IC: 'pretrainedResnet_quant.tflite',
    VWW: 'vww_96_int8.tflite',
    KWS: 'kws_ref_model.tflite',
    AD: 'ad01_int8.tflite',
  } as const;
  const runtimes = {
    stm32l4r5: /^X-CUBE-AI v10/,
    stm32u575: /^X-CUBE-AI v10/,
    psoc62: /^Plumerai Inference Engine 2023/,
  } as const;
  // The body of a skipped suite still runs.
  const table = hasShared ? parseCsv(fs.readFileSync(path.join(shared, 'truth/latency.csv'), 'utf8')) : [];
  const rows = Object.entries(runtimes).flatMap(([id, runtime]) =>
    table
      .filter(
        (row) => row['device_id'] === id && runtime.test(row['runtime'] ?? '') && row['precision'] === 'int8',
      )
      .flatMap((row) => {
        const task = /MLPerf Tiny (\w+)/.exec(row['model'] ?? '')?.[1];
        const file = files[task as keyof typeof files];
        return file === undefined
          ? []
          : [{ id, task, file, ms: Number(row['latency_ms']), uj: Number(row['energy_uJ']) }];
      }),
  );

  it('has rows for every microcontroller', () => {
    for (const id of Object.keys(runtimes))
      expect(rows.filter((row) => row.id === id).length).toBeGreaterThan(2);
  });

  it.each(rows)('$id, MLPerf Tiny $task: measured inside the stated interval', ({ id, file, ms, uj }) => {
    const { model, fileBytes } = readModelFile(path.join(shared, 'models/tflite', file));
    const report = estimateOn(named(id), model, analyse(model), { fileBytes });
    const [low, high] = report.latencyRangeMs ?? [Number.NaN, Number.NaN];
    expect(ms).toBeGreaterThan(low);
    expect(ms).toBeLessThan(high);
    if (uj > 0 && report.energyMj !== null) {
      expect(report.energyMj / (uj / 1000)).toBeGreaterThan(1 / 1.6);
      expect(report.energyMj / (uj / 1000)).toBeLessThan(1.6);
    }
  });
});

const same = {
  pads: { kind: 'ints', value: [1, 1, 1, 1] },
  strides: { kind: 'ints', value: [1, 1] },
} as const;

/** float input → Q → DQ → Conv → Q → DQ → float output. */
function qdq() {
  return onnx({
    inputs: { x: ['float32', [1, 16, 8, 8]] },
    outputs: ['out'],
    constants: {
      w: tensor('int8', [16, 16, 3, 3]),
      s: scalar('float32', 0.1),
      z: scalar('uint8', 0),
      zw: scalar('int8', 0),
    },
    nodes: [
      ['qx', 'QuantizeLinear', ['x', 's', 'z'], ['xq']],
      ['dqx', 'DequantizeLinear', ['xq', 's', 'z'], ['xf']],
      ['dqw', 'DequantizeLinear', ['w', 's', 'zw'], ['wf']],
      ['conv', 'Conv', ['xf', 'wf'], ['y'], same],
      ['qy', 'QuantizeLinear', ['y', 's', 'z'], ['yq']],
      ['dqy', 'DequantizeLinear', ['yq', 's', 'z'], ['out']],
    ],
  });
}
