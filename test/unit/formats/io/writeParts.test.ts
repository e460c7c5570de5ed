import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { writeParts } from '../../../../src/formats/io/writeParts.ts';
import { memoryBytes } from '../../../../src/ir/bytes.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-files-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));
const parts = ['one ', 'two'].map((text) => memoryBytes(new TextEncoder().encode(text)));

describe('writing', () => {
  it('replaces a file whole and keeps its mode', async () => {
    const file = path.join(folder, 'file');
    fs.writeFileSync(file, 'longer than what follows', { mode: 0o640 });
    expect(await writeParts(file, parts)).toBe(7);
    expect(fs.readFileSync(file, 'utf8')).toBe('one two');
    expect(fs.statSync(file).mode & 0o777).toBe(0o640);
  });

  it('goes through a symbolic link', async () => {
    const [file, link] = [path.join(folder, 'behind'), path.join(folder, 'link')];
    fs.writeFileSync(file, '');
    fs.symlinkSync(file, link);
    await writeParts(link, parts);
    expect(fs.lstatSync(link).isSymbolicLink()).toBe(true);
    expect(fs.readFileSync(file, 'utf8')).toBe('one two');
  });

  it.runIf(process.platform !== 'win32')('goes into a pipe, which stays one', async () => {
    const pipe = path.join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const read = promisify(execFile)('cat', [pipe]);
    expect(await writeParts(pipe, parts)).toBe(7);
    expect((await read).stdout).toBe('one two');
    expect(fs.statSync(pipe).isFIFO()).toBe(true);
  });

  it('refuses a folder by name and leaves nothing behind', async () => {
    const inner = path.join(folder, 'inner');
    fs.mkdirSync(inner);
    const before = fs.readdirSync(folder);
    await expect(writeParts(inner, parts)).rejects.toMatchObject({ reason: 'io', message: 'is a folder' });
    expect(fs.readdirSync(folder)).toEqual(before);
  });
});
