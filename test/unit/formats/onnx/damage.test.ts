import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openFile } from '../../../../src/formats/io/openFile.ts';
import { readOnnx } from '../../../../src/formats/onnx/read.ts';
import { WireWriter } from '../../../../src/formats/onnx/wireWriter.ts';
import { sniff } from '../../../../src/formats/sniff.ts';
import { memoryBytes, missingBytes } from '../../../../src/ir/bytes.ts';
import { KerfError } from '../../../../src/ir/errors.ts';
import { samples } from '../../support/models.ts';

const digits = new Uint8Array(fs.readFileSync(path.join(samples, 'digits.onnx')));
const read = (bytes: Uint8Array) =>
  readOnnx(memoryBytes(bytes), (reference, length) => missingBytes(length, reference.location));

/** A reader may refuse with a KerfError or report damage; anything else is a bug. */
function attempt(bytes: Uint8Array) {
  try {
    return read(bytes);
  } catch (error) {
    if (KerfError.is(error)) return error;
    throw error;
  }
}

function join(writer: WireWriter): Uint8Array {
  return Buffer.concat(writer.parts().map((part) => part.read()));
}

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('truncated files', () => {
  it('open as far as they can be read, and say where they end', () => {
    const { model, damage } = read(digits.subarray(0, digits.length - 1000));
    expect(model.graphs[0].nodes.length).toBeGreaterThan(0);
    expect(damage.map((each) => each.message).join('\n')).toMatch(/truncated/);
  });

  it('never throw anything but a KerfError, wherever they are cut', () => {
    for (let length = 0; length < digits.length; length += 97) attempt(digits.subarray(0, length));
  });

  it('are refused when they hold no graph', () => {
    const error = attempt(digits.subarray(0, 4));
    expect(KerfError.is(error, 'not-a-model')).toBe(true);
  });
});

describe('hostile bytes', () => {
  it('seeded flips never hang or throw anything but a KerfError', () => {
    const next = random(7);
    for (let round = 0; round < 300; round += 1) {
      const copy = digits.slice(0, 20_000);
      for (let flips = 0; flips < 8; flips += 1)
        copy[Math.floor(next() * copy.length)] = Math.floor(next() * 256);
      attempt(copy);
    }
  });

  it('random bytes are refused or damaged, never a crash', () => {
    const next = random(11);
    for (let round = 0; round < 200; round += 1) {
      attempt(Uint8Array.from({ length: 200 }, () => Math.floor(next() * 256)));
    }
  });

  it('a length beyond the file is named with its place', () => {
    const hostile = Uint8Array.of(0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x0a, 0x02);
    const result = attempt(hostile);
    const text = KerfError.is(result) ? result.line : result.damage.map((each) => each.message).join(' ');
    expect(text).toMatch(/4294967295|bytes are left|truncated/);
  });

  it('bodies nested without end are refused', () => {
    let graph = new WireWriter().text(2, 'innermost');
    for (let depth = 0; depth < 200; depth += 1) {
      const attribute = new WireWriter().text(1, 'body').message(6, graph).int(20, 5);
      graph = new WireWriter().message(1, new WireWriter().text(4, 'Loop').message(5, attribute));
    }
    const { damage } = read(join(new WireWriter().int(1, 8).message(7, graph)));
    expect(damage.some((each) => /nested more than/.test(each.message))).toBe(true);
  });
});

describe('wiring damage', () => {
  const node = (op: string, inputs: string[], outputs: string[]) => {
    const writer = new WireWriter();
    for (const input of inputs) writer.text(1, input);
    for (const output of outputs) writer.text(2, output);
    return writer.text(4, op);
  };
  const model = (...nodes: WireWriter[]) => {
    const graph = new WireWriter();
    for (const each of nodes) graph.message(1, each);
    graph.message(11, new WireWriter().text(1, 'x')).message(12, new WireWriter().text(1, 'y'));
    return read(join(new WireWriter().int(1, 8).message(7, graph)));
  };

  it.each([
    ['a dangling name', [node('Relu', ['nowhere'], ['y'])], /'nowhere', which nothing produces/],
    ['a duplicate name', [node('Relu', ['x'], ['y']), node('Tanh', ['x'], ['y'])], /more than one producer/],
    [
      'a cycle',
      [node('Add', ['x', 'b'], ['a']), node('Relu', ['a'], ['b']), node('Relu', ['b'], ['y'])],
      /cycle/,
    ],
    ['a missing output', [node('Relu', ['x'], ['z'])], /output 'y' is never produced/],
  ])('%s is reported', (_, nodes, expected) => {
    expect(
      model(...nodes)
        .damage.map((each) => each.message)
        .join('\n'),
    ).toMatch(expected);
  });
});

describe('other files', () => {
  it.each([
    ['an empty file', new Uint8Array(0), /empty/],
    ['a ZIP archive', Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0, 0, 0), /ZIP/],
    [
      'a Git LFS pointer',
      new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\noid'),
      /lfs pull/,
    ],
    ['a web page', new TextEncoder().encode('\n<!DOCTYPE html><html></html>'), /web page/],
    ['text', new TextEncoder().encode('{"not": "a model"}'), /neither an ONNX model nor a TFLite/],
  ])('%s is named for what it is', (_, bytes, expected) => {
    expect(() => sniff(memoryBytes(bytes))).toThrow(expected);
  });

  it('a file that is replaced while it is open is refused rather than misread', async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-test-'));
    const file = path.join(folder, 'model.onnx');
    fs.writeFileSync(file, digits);
    const bytes = openFile(file);
    fs.writeFileSync(path.join(folder, 'other'), digits.subarray(0, 100));
    fs.renameSync(path.join(folder, 'other'), file);
    expect(() => bytes.read(0, 50_000)).toThrow(/changed on disk/);
    fs.rmSync(folder, { recursive: true });
  });
});
