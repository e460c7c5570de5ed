import type { Analysis } from '../analysis/report.ts';
import type { DeviceProfile } from '../devices/profile.ts';
import type { TargetRules } from '../devices/targets/target.ts';
import type { Model, NodeId } from '../ir/model.ts';
import type { OptionValues } from '../passes/pass.ts';

export type Severity = 'error' | 'warning' | 'information' | 'hint';

/** A cure that a pass can apply. */
export interface Fix {
  readonly pass: string;
  readonly options: OptionValues;
  readonly layers?: readonly NodeId[];
  /** What it does; rules leave the gain to the registry, which adds it: "Quantize to int8: 3.1 MB less". */
  readonly title: string;
  /** What it should gain, predicted from shapes and the device profile. */
  readonly gain?: Gain;
}

/** What a fix should change. Positive is less than now; what nobody can tell is absent. */
export interface Gain {
  readonly fileBytes?: number;
  /** Of the activation arena. */
  readonly ramBytes?: number;
  readonly macs?: number;
  /** On the chosen device, both estimated; `before` is null when the model does not run there now. */
  readonly latencyMs?: { readonly before: number | null; readonly after: number };
}

export interface Finding {
  readonly rule: string;
  readonly severity: Severity;
  /** Absent when the finding is about the whole model; the first one when it is about several layers. */
  readonly layer?: NodeId;
  /** Every layer concerned, when the same thing was found on several. */
  readonly layers?: readonly NodeId[];
  readonly message: string;
  readonly fixes: readonly Fix[];
}

/** Limits that rules and `check` enforce; absent means no limit. Bytes, milliseconds, counts, percentage points. */
export interface Budget {
  readonly fileBytes?: number;
  readonly flashBytes?: number;
  readonly ramBytes?: number;
  readonly macs?: number;
  readonly latencyMs?: number;
  readonly accuracyDrop?: number;
}

export interface RuleContext {
  readonly model: Model;
  readonly analysis: Analysis;
  readonly device?: DeviceProfile;
  /** Rules of what the model will run on; without them, those of the device. */
  readonly target?: TargetRules;
  readonly budget: Budget;
  /** Bytes of the model file; rules about storage fall back on the weights when it is not known. */
  readonly fileBytes?: number;
}

/** A diagnostic, declared once; feeds Problems, the text form, node badges, `check` and the manual. */
export interface Rule {
  readonly id: string;
  readonly severity: Severity;
  readonly title: string;
  /** Markdown: what it means, an example, the remedy. */
  readonly manual: string;
  check(context: RuleContext): readonly Finding[];
}
