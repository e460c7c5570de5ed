import { listFiles, readJson } from '../formats/io/files.ts';
import type { DeviceProfile } from '../devices/profile.ts';
import { parseDevice } from '../devices/parse.ts';
import { builtinDevices, deviceById } from '../devices/registry.ts';
import { KerfError } from '../ir/errors.ts';
import { calibratedHost } from './hostDevice.ts';

/** Built-in profiles and those of `*.device.json` files in the folders. Throws on a file that is not a profile. */
export function allDevices(folders: readonly string[]): readonly DeviceProfile[] {
  const own = folders
    .flatMap((folder) => listFiles(folder, '.device.json'))
    .map((file) => parseDevice(readJson(file), file));
  return [...own, ...builtinDevices.map(calibratedHost)];
}

/** A device by id, or by the path of a device file. Throws `KerfError('not-found')`. */
export function deviceNamed(name: string): DeviceProfile {
  if (name.endsWith('.device.json')) return parseDevice(readJson(name), name);
  const device = deviceById(name);
  if (device !== undefined) return calibratedHost(device);
  const known = builtinDevices.map((each) => each.id).join(', ');
  throw new KerfError('not-found', `there is no device '${name}' (known: ${known})`);
}
