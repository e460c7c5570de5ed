import type { DeviceProfile } from './profile.ts';
import { parseDevice } from './parse.ts';
import stm32l4r5 from './profiles/stm32l4r5.json' with { type: 'json' };
import stm32h7a3 from './profiles/stm32h7a3.json' with { type: 'json' };
import stm32u575 from './profiles/stm32u575.json' with { type: 'json' };
import stm32h743 from './profiles/stm32h743.json' with { type: 'json' };
import esp32s3 from './profiles/esp32s3.json' with { type: 'json' };
import rp2040 from './profiles/rp2040.json' with { type: 'json' };
import nano33ble from './profiles/nano33ble.json' with { type: 'json' };
import psoc62 from './profiles/psoc62.json' with { type: 'json' };
import pi4 from './profiles/pi4.json' with { type: 'json' };
import pi5 from './profiles/pi5.json' with { type: 'json' };
import piZero2w from './profiles/pi_zero2w.json' with { type: 'json' };
import pi3bplus from './profiles/pi3bplus.json' with { type: 'json' };
import i712700h from './profiles/i7-12700h.json' with { type: 'json' };
import coralUsb from './profiles/coral_usb.json' with { type: 'json' };
import hailo8 from './profiles/hailo8.json' with { type: 'json' };
import rk3588 from './profiles/rk3588.json' with { type: 'json' };
import galaxyS24 from './profiles/galaxy_s24.json' with { type: 'json' };
import qcs6490 from './profiles/qcs6490.json' with { type: 'json' };
import orinNano from './profiles/orin_nano.json' with { type: 'json' };
import groveVisionV2 from './profiles/grove_vision_v2.json' with { type: 'json' };
import stm32n6 from './profiles/stm32n6.json' with { type: 'json' };
import gap9 from './profiles/gap9.json' with { type: 'json' };
import host from './profiles/host.json' with { type: 'json' };

/** The profiles that come with Kerf, in the order they are offered. */
export const builtinDevices: readonly DeviceProfile[] = [
  stm32l4r5,
  stm32h7a3,
  stm32u575,
  stm32h743,
  esp32s3,
  rp2040,
  nano33ble,
  psoc62,
  pi4,
  pi5,
  piZero2w,
  pi3bplus,
  i712700h,
  coralUsb,
  hailo8,
  rk3588,
  galaxyS24,
  qcs6490,
  orinNano,
  groveVisionV2,
  stm32n6,
  gap9,
  host,
].map((profile) => parseDevice(profile, `${profile.id}.json`));

/** A profile by its id, among the user's own first, then among the built-in ones. */
export function deviceById(id: string, own: readonly DeviceProfile[] = []): DeviceProfile | undefined {
  return [...own, ...builtinDevices].find((device) => device.id === id);
}
