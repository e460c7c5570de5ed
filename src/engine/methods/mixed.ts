import path from 'node:path';
import { writeParts } from '../../formats/io/writeParts.ts';
import { writeModelFile } from '../../formats/io/models.ts';
import { memoryBytes } from '../../ir/bytes.ts';
import { checkBindings, withBindingHint } from '../bindings.ts';
import { deviceNamed } from '../deviceFiles.ts';
import type { EngineMethods } from './method.ts';
import { mixedPrecision } from '../mixed/mixed.ts';
import { findNode } from '../nodeDetails.ts';
import { recipeText } from '../recipeFiles.ts';
import { saidOfModel } from '../saidOfModel.ts';
import type { ModelStore } from '../store.ts';

export function mixedMethods(store: ModelStore): Pick<EngineMethods, 'mixed'> {
  return {
    async mixed({ handle, device, out, recipe, ...request }, job) {
      const held = store.runnable(handle);
      checkBindings(request.bind, [held.model]);
      for (const layer of request.keep ?? []) findNode(held.model, layer);
      const profile = device === undefined ? undefined : deviceNamed(device);
      const asked = { ...request, ...(profile && { device: profile }) };
      const { report, made } = await withBindingHint(held.model, request.bind, () =>
        saidOfModel(held.path, () => mixedPrecision(store, held, asked, job)),
      );
      const title = `${path.basename(held.path)}, mixed precision`;
      if (made !== undefined && out !== undefined) await writeModelFile(made.model, out);
      for (const file of recipeFiles(out, recipe)) {
        if (made === undefined) break;
        await writeParts(file, [
          memoryBytes(new TextEncoder().encode(recipeText(file, held.path, made.steps, title))),
        ]);
      }
      job.report(1, 'done');
      return { ...report, out: made === undefined ? null : (out ?? null) };
    },
  };
}

/** `model.onnx` keeps its recipe in `model.kerf.json`, unless another place is named. */
function recipeFiles(out: string | undefined, recipe: string | undefined): readonly string[] {
  if (recipe !== undefined) return [recipe];
  return out === undefined ? [] : [path.join(path.dirname(out), `${path.parse(out).name}.kerf.json`)];
}
