import fs from 'node:fs';
import path from 'node:path';
import type { Bytes } from '../../ir/bytes.ts';
import { memoryBytes, missingBytes } from '../../ir/bytes.ts';
import type { Damage } from '../../ir/errors.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Model, OnnxModel } from '../../ir/model.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { encodeModel } from '../encode.ts';
import type { ExternalReference, TensorLeftover } from '../onnx/origin.ts';
import { readOnnx } from '../onnx/read.ts';
import type { ExternalResolver } from '../onnx/readTensor.ts';
import { encodeOnnx } from '../onnx/write.ts';
import { sniff } from '../sniff.ts';
import { readTflite } from '../tflite/read.ts';
import { FileBytes, openFile } from './openFile.ts';
import { writeParts, writeScratch } from './writeParts.ts';

interface ReadModel {
  readonly model: Model;
  readonly damage: readonly Damage[];
  /** The model file and its external data files. */
  readonly fileBytes: number;
  /** The model file itself. */
  readonly file: FileBytes;
}

/** A protocol buffer cannot be longer (protobuf encoding specification). */
const protobufLimit = 2 ** 31 - 1;
const externalAlignment = 4096;
/** Tensors below this stay in the model file when weights move out. */
const smallestExternal = 1024;

/**
 * Opens a model file, by content. Structure only: weights stay in the file and are read when someone asks.
 * Throws `KerfError` naming the file, the place and the reason when nothing can be read.
 */
export function readModelFile(file: string): ReadModel {
  const bytes = openFile(file);
  try {
    if (sniff(bytes) === 'tflite') return { ...readTflite(bytes), fileBytes: bytes.length, file: bytes };
    const external = new ExternalFiles(path.dirname(file));
    const { model, damage } = readOnnx(bytes, external.resolve);
    const fileBytes = bytes.length + external.bytes;
    return { model, damage: [...damage, ...external.damage], fileBytes, file: bytes };
  } catch (error) {
    if (!KerfError.is(error) || error.file !== undefined) throw error;
    throw new KerfError(error.reason, error.message, { file, ...(error.place && { place: error.place }) });
  }
}

/** The external data files of one ONNX model. A path may not leave the model's folder. */
class ExternalFiles {
  readonly damage: Damage[] = [];
  readonly #folder: string;
  readonly #files = new Map<string, FileBytes | string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  get bytes(): number {
    let sum = 0;
    for (const file of this.#files.values()) if (typeof file !== 'string') sum += file.length;
    return sum;
  }

  readonly resolve: ExternalResolver = (reference, length) => {
    const file = this.#open(reference.location);
    if (typeof file === 'string') return missingBytes(length, file);
    const { offset } = reference;
    const inside =
      Number.isSafeInteger(offset) && offset >= 0 && length >= 0 && offset + length <= file.length;
    if (inside) return file.slice(offset, length);
    const problem = `bytes ${offset}..${offset + length} lie outside '${reference.location}' (${file.length} bytes)`;
    this.#report(problem);
    return missingBytes(Math.max(0, length), problem);
  };

  #open(location: string): FileBytes | string {
    let file = this.#files.get(location);
    if (file === undefined) {
      file = this.#tryOpen(location);
      this.#files.set(location, file);
      if (typeof file === 'string') this.#report(file);
    }
    return file;
  }

  #tryOpen(location: string): FileBytes | string {
    const target = path.resolve(this.#folder, location);
    const relative = path.relative(this.#folder, target);
    if (
      location === '' ||
      relative.startsWith('..') ||
      path.isAbsolute(location) ||
      path.isAbsolute(relative)
    ) {
      return `external data path '${location}' leaves the model's folder`;
    }
    try {
      if (fs.existsSync(target)) {
        const real = path.relative(fs.realpathSync(this.#folder), fs.realpathSync(target));
        if (real.startsWith('..'))
          return `external data path '${location}' leaves the model's folder through a link`;
      }
      return openFile(target);
    } catch (error) {
      if (!KerfError.is(error)) throw error;
      return `external data file '${location}' cannot be read: ${error.message}`;
    }
  }

  #report(message: string): void {
    if (this.damage.length < 20) this.damage.push({ severity: 'error', place: 'external data', message });
  }
}

/**
 * Writes a model through a temporary file. Weights of an ONNX model that live in external files, or would make the
 * model file exceed the 2 GiB limit of protocol buffers, go to `<name>.data` beside it; saved beside its own external
 * files, an ONNX model keeps referring to them. Returns the bytes of all files the model needs.
 */
export async function writeModelFile(model: Model, file: string): Promise<{ fileBytes: number }> {
  if (model.dialect === 'onnx') {
    const external = externalTensors(model);
    const elsewhere = external.some((each) => !staysBeside(each.data, file));
    const parts = elsewhere ? [] : encodeOnnx(model);
    if (elsewhere || lengthOf(parts) > protobufLimit) return writeWithData(model, file);
    const fileBytes = await writeParts(file, parts);
    return { fileBytes: fileBytes + sizeOfFiles(external.map((each) => each.data)) };
  }
  return { fileBytes: await writeParts(file, encodeModel(model)) };
}

function lengthOf(parts: readonly Bytes[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

/** All bytes that belong to a model: its file, and behind it what that keeps in other files. */
export function allBytesOf(model: Model): readonly Bytes[] {
  const parts = encodeModel(model);
  return model.dialect === 'onnx'
    ? [...parts, ...externalTensors(model).map((tensor) => tensor.data)]
    : parts;
}

/** Tensors of the model that are still stored in an external file. */
function externalTensors(model: OnnxModel) {
  return [...model.graphs[0].values.values()]
    .map((value) => value.constant)
    .filter((tensor) => tensor !== undefined)
    .filter(
      (tensor) =>
        (tensor.extra as TensorLeftover | undefined)?.external !== undefined &&
        tensor.data.missing === undefined,
    );
}

function staysBeside(data: Bytes, file: string): boolean {
  return (
    data instanceof FileBytes && path.dirname(path.resolve(data.path)) === path.dirname(path.resolve(file))
  );
}

function sizeOfFiles(all: readonly Bytes[]): number {
  const paths = new Set(all.map((data) => (data instanceof FileBytes ? data.path : '')));
  return [...paths].reduce((sum, each) => sum + (each === '' ? 0 : fs.statSync(each).size), 0);
}

/** Moves every sizeable tensor to one external file. */
async function writeWithData(model: OnnxModel, file: string): Promise<{ fileBytes: number }> {
  const { place, parts } = externalLayout(`${path.basename(file)}.data`);
  const encoded = encodeOnnx(model, place);
  const dataBytes = await writeParts(path.join(path.dirname(file), `${path.basename(file)}.data`), parts);
  return { fileBytes: dataBytes + (await writeParts(file, encoded)) };
}

/** Lays tensors one after another into an external file, 4096-aligned as the ONNX external-data page asks. */
function externalLayout(location: string) {
  const parts: Bytes[] = [];
  let offset = 0;
  const place = (tensor: Tensor): ExternalReference | undefined => {
    const length = tensor.data.length;
    if (length < smallestExternal || tensor.data.missing !== undefined || tensor.dtype === 'string')
      return undefined;
    const padding = (externalAlignment - (offset % externalAlignment)) % externalAlignment;
    if (padding > 0) parts.push(memoryBytes(new Uint8Array(padding)));
    parts.push(tensor.data);
    const reference = { location, offset: offset + padding, length, checksum: undefined };
    offset += padding + length;
    return reference;
  };
  return { place, parts };
}

/** Where the tensors of a model lie in a file that other files refer to. */
export type SharedWeights = (tensor: Tensor) => ExternalReference | undefined;

/** Writes the weights of a model to a file that parts of it, written by `writeScratchModel` beside it, refer to. */
export async function writeSharedWeights(model: OnnxModel, file: string): Promise<SharedWeights> {
  const { place, parts } = externalLayout(path.basename(file));
  const references = new Map<Tensor, ExternalReference>();
  for (const { constant } of model.graphs[0].values.values()) {
    const reference = constant && !references.has(constant) ? place(constant) : undefined;
    if (constant !== undefined && reference !== undefined) references.set(constant, reference);
  }
  await writeScratch(file, parts);
  return (tensor) => references.get(tensor);
}

/** Writes a model that is loaded once and not kept, without waiting for the disk. */
export async function writeScratchModel(model: Model, file: string, shared?: SharedWeights): Promise<void> {
  const parts = model.dialect === 'onnx' ? encodeOnnx(model, shared) : encodeModel(model);
  const isSelfContained = model.dialect !== 'onnx' || shared !== undefined;
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (isSelfContained && length <= protobufLimit) await writeScratch(file, parts);
  else await writeModelFile(model, file);
}
