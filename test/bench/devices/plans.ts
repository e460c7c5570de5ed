import type { LayerWork } from '../../../src/devices/work.ts';
import { bulk } from './builder.ts';
import { autoEncoder, dsCnn, resnet8 } from './classicNets.ts';
import { mobilenetV1, mobilenetV2 } from './mobileNets.ts';
import type { Net } from './builder.ts';
import type { Coefficients } from './solve.ts';

type Row = Readonly<Record<string, string>>;
type Extra = readonly [model: string, net: Net, seconds: number];

/** How one precision of one device is fitted: which rows speak of it, and where the search starts. */
export interface Plan {
  readonly device: string;
  readonly precision: LayerWork['precision'];
  readonly what: string;
  readonly source: string;
  readonly prior: Coefficients;
  /** Devices of one family behave alike up to a factor: each is searched for from what the others say. */
  readonly family?: string;
  rows(row: Row): boolean;
  /** Samples that are not whole-network rows of the latency table. */
  extra?(latency: readonly Row[], devices: readonly Row[]): readonly Extra[];
}

/** Seconds per unit from a reference speed (GMAC/s), relative speeds, bandwidth (GB/s), per layer and per inference. */
function prior(
  speed: number,
  relative: readonly [dense: number, depthwise: number, full: number],
  rest: readonly [bandwidth: number, perLayer: number, perInference: number],
): Coefficients {
  const mac = 1e-9 / speed;
  const [dense, depthwise, full] = relative;
  return [mac, mac / dense, mac / depthwise, mac / full, 1e-9 / rest[0], rest[1], rest[2]];
}

const has = (device: string, runtime: RegExp, precision: RegExp, more: (row: Row) => boolean = () => true) =>
  function rows(row: Row): boolean {
    return (
      row['device_id'] === device &&
      runtime.test(row['runtime'] ?? '') &&
      precision.test(row['precision'] ?? '') &&
      more(row)
    );
  };

/** Microcontrollers do one int8 MAC in one to ten cycles; bytes and layers cost little beside that. */
const mcu = (megahertz: number, cyclesPerMac: number): Coefficients =>
  prior(
    megahertz / 1e3 / cyclesPerMac,
    [1.1, 0.45, 0.8],
    [(megahertz / 1e3) * 0.5, 2000 / (megahertz * 1e6), 5000 / (megahertz * 1e6)],
  );

const mlperfTiny = 'MLPerf Tiny closed results, github.com/mlcommons/tiny_results_v0.5 to v1.3';
const ncnnSource = 'github.com/Tencent/ncnn benchmark/README.md';
const hub = 'github.com/quic/ai-hub-models perf.yaml files';

/** "cycles/MAC IC/VWW/KWS/AD: … 9.0 0.91/0.89/1.19/1.30" of the device table, as samples. */
function fromCycles(device: string, megahertz: number, label: RegExp): NonNullable<Plan['extra']> {
  return (_, devices) => {
    const text = devices.find((row) => row['id'] === device)?.['measured_efficiency'] ?? '';
    const figures = label.exec(text)?.slice(1).map(Number) ?? [];
    const nets: readonly [string, Net, number][] = [
      ['IC', resnet8(), 12_501_632],
      ['VWW', mobilenetV1(0.25, 96, 3, 2), 7_489_664],
      ['KWS', dsCnn(), 2_656_768],
      ['AD', autoEncoder(), 264_192],
    ];
    return nets.flatMap(([name, net, macs], index): Extra[] => {
      const perMac = figures[index];
      return perMac === undefined ? [] : [[name, net, (perMac * macs) / (megahertz * 1e6)]];
    });
  };
}

/** Per-layer times of person_detect, layer by layer. */
function personDetectLayers(latency: readonly Row[]): readonly Extra[] {
  const net = mobilenetV1(0.25, 96, 1, 3);
  return latency.flatMap((row): Extra[] => {
    if (row['device_id'] !== 'rp2040' || !(row['runtime'] ?? '').endsWith('1 core')) return [];
    const index = Number(/^LAYER (\d+)/.exec(row['model'] ?? '')?.[1]);
    const layer = net[index];
    return layer === undefined || index > 26
      ? []
      : [[`layer${index}`, [layer], Number(row['latency_ms']) / 1e3]];
  });
}

const mcunets = (latency: readonly Row[]): readonly Extra[] =>
  latency.flatMap((row): Extra[] => {
    if (row['device_id'] !== 'stm32h743' || !(row['runtime'] ?? '').startsWith('X-CUBE')) return [];
    const model = row['model'] ?? '';
    const macs = Number(row['macs_M']) * 1e6;
    const seconds = Number(row['latency_ms']) / 1e3;
    if (model === 'mbv2-w0.3-r64') return [[model, mobilenetV2(0.3, 64), seconds]];
    return macs > 0 ? [[model, bulk(macs, 0, 0.12), seconds]] : [];
  });

const microcontrollers: readonly Plan[] = [
  ...(
    [
      ['stm32l4r5', 120, /^X-CUBE-AI v10\.2/, 'X-CUBE-AI 10.2'],
      ['stm32u575', 160, /^X-CUBE-AI v10\.2/, 'X-CUBE-AI 10.2'],
      ['psoc62', 150, /^Plumerai Inference Engine 2023/, 'Plumerai 2023.05'],
    ] as const
  ).map(
    ([device, clock, runtime, what]): Plan => ({
      device,
      precision: 'int8',
      what,
      source: `${mlperfTiny}, ${what}`,
      prior: mcu(clock, 1.5),
      family: 'optimised int8 kernels on Cortex-M',
      rows: has(device, runtime, /int8/),
    }),
  ),
  {
    device: 'stm32h7a3',
    precision: 'int8',
    what: 'X-CUBE-AI 9.0',
    source: `${mlperfTiny}, X-CUBE-AI 9.0`,
    prior: mcu(280, 1),
    family: 'optimised int8 kernels on Cortex-M',
    rows: () => false,
    extra: fromCycles('stm32h7a3', 280, /9\.0 ([\d.]+)\/([\d.]+)\/([\d.]+)\/([\d.]+)/),
  },
  {
    device: 'stm32h7a3',
    precision: 'float32',
    what: 'HALE 1.0',
    source: `${mlperfTiny}, Bosch HALE 1.0.175 in float32`,
    prior: mcu(280, 3),
    family: 'float32 kernels on Cortex-M',
    rows: has('stm32h7a3', /HALE/, /float32/),
  },
  {
    device: 'psoc62',
    precision: 'float32',
    what: 'HALE 1.0',
    source: `${mlperfTiny}, Bosch HALE 1.0.175 in float32`,
    prior: mcu(150, 6),
    family: 'float32 kernels on Cortex-M',
    rows: has('psoc62', /HALE/, /float32/),
  },
  {
    device: 'rp2040',
    precision: 'int8',
    what: 'TFLite Micro, CMSIS-NN, single layers',
    source: 'github.com/raspberrypi/pico-tflmicro benchmark_results.txt, one core at 125 MHz, layer by layer',
    prior: prior(0.0126, [1, 0.24, 0.9], [0.06, 2e-5, 5e-5]),
    rows: () => false,
    extra: personDetectLayers,
  },
  {
    device: 'stm32h743',
    precision: 'int8',
    what: 'X-CUBE-AI 7.3',
    source: 'github.com/mit-han-lab/tinyengine README, X-CUBE-AI 7.3 column',
    prior: mcu(480, 1.5),
    rows: () => false,
    extra: mcunets,
  },
  {
    device: 'nano33ble',
    precision: 'int8',
    what: 'TFLite Micro, CMSIS-NN',
    source: 'github.com/guberti/tvm-arduino-profiling README (person_detect)',
    prior: mcu(64, 5),
    rows: has('nano33ble', /CMSIS-NN/, /int8/),
  },
  {
    device: 'esp32s3',
    precision: 'int8',
    what: 'TFLite Micro, ESP-NN',
    source: 'github.com/espressif/esp-nn README (person_detect, MobileNetV3-Small)',
    prior: mcu(240, 1.6),
    rows: has('esp32s3', /^TFLM \+ ESP-NN$/, /int8/),
  },
  {
    device: 'gap9',
    precision: 'int8',
    what: 'GAP SDK, NE16, 370 MHz',
    source: 'MLPerf Tiny v1.0, GreenWaves GAP9 at 370 MHz, 0.8 V',
    prior: prior(15, [1.5, 0.3, 0.4], [2, 2e-5, 3e-5]),
    rows: has('gap9', /^GreenWaves/, /int8/, (row) => Number(row['power_mW']) > 30),
  },
  {
    device: 'stm32n6',
    precision: 'int8',
    what: 'ST Edge AI Core 2.0',
    source: 'github.com/STMicroelectronics/stm32ai-modelzoo image_classification',
    prior: prior(100, [1, 0.25, 0.5], [1, 2e-5, 3e-4]),
    rows: has('stm32n6', /./, /int8/),
  },
];

const all4 = (row: Row) => /^(4|all)/.test(row['threads'] ?? '');

const boards: readonly Plan[] = [
  ...(['float32', 'int8'] as const).map(
    (precision): Plan => ({
      device: 'pi4',
      precision,
      what: 'TFLite 2.7.1, 4 threads',
      source: 'MLPerf inference v2.0, Krai (TFLite 2.7.1, ruy, 4 threads)',
      prior:
        precision === 'int8'
          ? prior(41, [1, 1 / 14, 1], [2.1, 1e-5, 1e-4])
          : prior(13.9, [1, 1 / 6, 1], [2.1, 1e-5, 1e-4]),
      rows: has('pi4', /^TFLite 2\.7/, new RegExp(`^${precision}`)),
    }),
  ),
  ...(
    [
      ['pi5', 70, 8],
      ['pi_zero2w', 4, 1],
      ['pi3bplus', 5, 1.2],
    ] as const
  ).flatMap(([device, speed, bandwidth]) =>
    (['float32', 'int8'] as const).map(
      (precision): Plan => ({
        device,
        precision,
        what: 'ncnn, 4 threads',
        source: `${ncnnSource}, 4 threads`,
        family: `ncnn ${precision}`,
        prior: prior(
          precision === 'int8' ? speed * 1.2 : speed,
          precision === 'int8' ? [1.5, 1 / 3, 1] : [2.8, 1 / 1.8, 1],
          [bandwidth, 1e-5, 1e-4],
        ),
        rows: has(device, /^ncnn CPU/, precision === 'int8' ? /^int8/ : /^fp32/, all4),
      }),
    ),
  ),
  {
    device: 'i7-12700h',
    precision: 'float32',
    what: 'PyTorch 2.4 dynamo',
    source: 'timm benchmark-infer, PyTorch 2.4 dynamo, github.com/huggingface/pytorch-image-models results',
    prior: prior(210, [1.5, 1 / 6, 1], [11, 1e-6, 1e-3]),
    rows: (row) => /12700H/.test(row['device'] ?? ''),
  },
];

const accelerators: readonly Plan[] = [
  {
    device: 'coral_usb',
    precision: 'int8',
    what: 'Edge TPU runtime, models within 8 MB',
    source: 'coral.ai/docs/edgetpu/benchmarks (USB 3), models that fit the 8 MB of on-chip memory',
    prior: prior(1500, [1.5, 1 / 8, 1], [20, 2e-6, 1.2e-3]),
    rows: has(
      'coral_usb',
      /^Edge TPU/,
      /int8/,
      (row) => !/^(VGG|ResNet|Inception v4|DenseNet)/.test(row['model'] ?? ''),
    ),
  },
  {
    device: 'hailo8',
    precision: 'int8',
    what: 'HailoRT, 1000 / FPS, convolutional networks',
    source:
      'github.com/hailo-ai/hailo_model_zoo (1000 / FPS: the interval of a full pipeline, not the latency of one)',
    prior: prior(6000, [1, 1 / 2, 1], [100, 1e-6, 1.5e-4]),
    rows: has('hailo8', /DFC/, /int8/, (row) => !/^(vit|swin|deit)/.test(row['model'] ?? '')),
  },
  {
    device: 'rk3588',
    precision: 'int8',
    what: 'RKNN, one core, 1000 / FPS',
    source: 'github.com/airockchip/rknn_model_zoo (1000 / FPS on one core)',
    prior: prior(700, [1.2, 1 / 4, 1], [8, 1e-5, 5e-4]),
    rows: has('rk3588', /RKNN/, /INT8/),
  },
  {
    device: 'galaxy_s24',
    precision: 'int8',
    what: 'LiteRT, QNN delegate',
    source: `${hub}, LiteRT with the QNN delegate, w8a8`,
    prior: prior(12_800, [1, 1 / 2, 1], [62, 5e-7, 1.6e-4]),
    rows: has('galaxy_s24', /^LiteRT/, /int8/, allOnNpu),
  },
  {
    device: 'galaxy_s24',
    precision: 'float16',
    what: 'LiteRT, QNN delegate',
    source: `${hub}, LiteRT with the QNN delegate, float16`,
    prior: prior(5950, [1, 1 / 2, 1], [108, 5e-7, 4.8e-4]),
    rows: has('galaxy_s24', /^LiteRT/, /fp16/, allOnNpu),
  },
  {
    device: 'qcs6490',
    precision: 'int8',
    what: 'LiteRT, QNN delegate',
    source: `${hub}, LiteRT with the QNN delegate, w8a8`,
    prior: prior(2500, [1, 1 / 2, 1], [15, 1e-6, 5e-4]),
    rows: has('qcs6490', /^LiteRT/, /int8/, allOnNpu),
  },
  ...(['float32', 'float16', 'int8'] as const).map(
    (precision): Plan => ({
      device: 'orin_nano',
      precision,
      what: 'TensorRT, YOLO11 at 640 px',
      source: 'Ultralytics NVIDIA Jetson guide: TensorRT, YOLO11 at 640 px',
      prior: prior(
        { float32: 1500, float16: 3000, int8: 5000 }[precision],
        [1.5, 1 / 5, 1],
        [40, 4e-6, 1e-3],
      ),
      rows: has(
        'orin_nano',
        /^TensorRT \(Ultra/,
        { float32: /fp32/, float16: /fp16/, int8: /int8/ }[precision],
      ),
    }),
  ),
];

/** Rows where every layer ran on the NPU: the others measure a fallback. */
function allOnNpu(row: Row): boolean {
  const [, total, npu] = /total=(\d+),npu=(\d+)/.exec(row['note'] ?? '') ?? [];
  return total !== undefined && total === npu;
}

/** Figures for a device that nobody measured, from a core of the same kind: cycles stay, the clock changes. */
export interface Derived {
  readonly device: string;
  readonly precision: LayerWork['precision'];
  readonly from: string;
  readonly clockRatio: number;
}

export const derived: readonly Derived[] = [
  { device: 'stm32l4r5', precision: 'float32', from: 'psoc62', clockRatio: 120 / 150 },
  { device: 'stm32u575', precision: 'float32', from: 'psoc62', clockRatio: 160 / 150 },
  { device: 'stm32h743', precision: 'float32', from: 'stm32h7a3', clockRatio: 480 / 280 },
];

export const plans: readonly Plan[] = [...microcontrollers, ...boards, ...accelerators];
