import { chmod, cp, readdir, stat } from 'node:fs/promises';
import path from 'node:path';

/** A copy that may be written to, whatever the mode of the original: the editor asks before it replaces a protected file. */
export async function copyWritable(from, to) {
  await cp(from, to, { recursive: true });
  const names = (await stat(to)).isDirectory() ? await readdir(to, { recursive: true }) : [''];
  for (const name of names) {
    const file = path.join(to, name);
    await chmod(file, (await stat(file)).mode | 0o200);
  }
}
