import { expect, it } from 'vitest';
import { fixCommand } from '../../../src/cli/check/fixCommand.ts';

it('a fix is said as a command, with its options and the layers it is for', () => {
  const fix = { title: 'Quantize', pass: 'requantize', options: { target: 'ort-x86-amx' } };
  expect(fixCommand(fix)).toBe('kerf apply --pass requantize --set target=ort-x86-amx');
  expect(fixCommand({ ...fix, options: {}, layers: ['/0/Conv', 'a;b c'] })).toBe(
    "kerf apply --pass requantize --layer /0/Conv --layer 'a;b c'",
  );
  expect(fixCommand({ ...fix, options: { at: "it's" } })).toBe(
    "kerf apply --pass requantize --set 'at=it'\\''s'",
  );
  expect(fixCommand({ ...fix, options: {}, layers: ['a', 'b', 'c', 'd'] })).toBe(
    'kerf apply --pass requantize, --layer for each of 4',
  );
});
