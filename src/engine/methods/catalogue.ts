import { passes } from '../../passes/registry.ts';
import { rules } from '../../rules/registry.ts';
import { allDevices } from '../deviceFiles.ts';
import type { EngineMethods } from '../methods.ts';

export function catalogueMethods(): Pick<EngineMethods, 'passes' | 'rules' | 'devices'> {
  return {
    passes: () => ({
      passes: passes.map(({ id, title, summary, dialects, refusal, exact, calibration, options }) => ({
        id,
        title,
        summary,
        dialects,
        ...(refusal !== undefined && { refusal }),
        exact,
        calibration,
        options,
      })),
    }),
    rules: () => ({
      rules: rules.map(({ id, severity, title, manual }) => ({ id, severity, title, manual })),
    }),
    devices: ({ folders }) => ({ devices: allDevices(folders ?? []) }),
  };
}
