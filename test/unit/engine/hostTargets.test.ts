import { describe, expect, it } from 'vitest';
import { targets } from '../../../src/devices/targets/registry.ts';
import { deviceNamed } from '../../../src/engine/deviceFiles.ts';
import { featuresIn, hostTargets, onnxTarget } from '../../../src/engine/hostTargets.ts';

const processor = (flags: string) =>
  `processor\t: 0\nflags\t\t: ${flags}\n\nprocessor\t: 1\nflags\t\t: ${flags}\n`;

describe('the rules of this machine', () => {
  it.each([
    ['x64', 'fpu avx2 avx512f avx512_vnni amx_bf16 amx_tile amx_int8', 'ort-x86-amx'],
    ['x64', 'fpu avx2 avx512f avx512_vnni', 'ort-x86-vnni'],
    ['x64', 'fpu avx2 avx_vnni', 'ort-x86-vnni'],
    ['x64', 'fpu avx2', 'ort-x86'],
    ['arm64', 'fp asimd', 'ort-arm'],
  ])('on %s with %s are %s', (arch, flags, target) => {
    expect(onnxTarget(arch, featuresIn(processor(flags)))).toBe(target);
  });

  it('are those of the default target where nobody tells the features', () => {
    expect(featuresIn('model name : a processor')).toBeUndefined();
    expect(onnxTarget('x64', undefined)).toBe('ort-x86-vnni');
  });

  it('are there, one per format, and belong to the device host', () => {
    const dialects = hostTargets().map((id) => targets.find((each) => each.id === id)?.dialect);
    expect(dialects).toEqual(['tflite', 'onnx']);
    expect(deviceNamed('host').targets).toEqual(hostTargets());
  });
});
