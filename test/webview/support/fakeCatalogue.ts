import type { DeviceProfile } from '../../../src/devices/profile.ts';
import type { PassInfo } from '../../../src/engine/protocol.ts';

/** Passes and devices that the made-up host offers. */

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

const int8 = { ...precision, gmacsPerSecond: 32 };

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
    precisions: { int8 },
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
    precisions: { float32: precision, int8 },
    bandwidth: 4e9,
    opOverhead: 1e-6,
    invokeOverhead: 1e-5,
    uncertainty: 1.5,
    unsupported: [],
    integerOnly: false,
    source: 'made up',
  },
];
