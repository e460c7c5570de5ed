import type { Code } from './instructions.ts';
import { i32, op } from './instructions.ts';
import { unsigned } from './leb128.ts';

export type WasmType = 'i32' | 'f32' | 'f64' | 'i64' | 'v128';

/** A parameter or local variable. */
export interface Variable {
  readonly get: Code;
  set(value: Code): Code;
  /** Sets it and leaves the value. */
  tee(value: Code): Code;
}

/** A function without results, as the assembler takes it. */
export interface WasmFunction<Name extends string = string> {
  readonly name: Name;
  readonly parameters: readonly WasmType[];
  readonly locals: readonly WasmType[];
  body(): readonly Code[];
}

/** Variables by name; those that belong together stand in a list or a record. */
interface Declared {
  readonly [name: string]: WasmType | Declared | readonly (WasmType | Declared)[];
}

/** The same shape, with variables in place of types. */
export type Variables<Types> = Types extends WasmType
  ? Variable
  : { readonly [Name in keyof Types]: Variables<Types[Name]> };

/**
 * A function of `parameters`, in the order in which they are declared, whose body works on variables by name. `body` leaves
 * nothing on the stack.
 */
export function kernel<
  const Name extends string,
  const Parameters extends Readonly<Record<string, WasmType>>,
  const Locals extends Declared,
>(declaration: {
  readonly name: Name;
  readonly parameters: Parameters;
  readonly locals: Locals;
  body(variables: Variables<Parameters> & Variables<Locals>): readonly Code[];
}): WasmFunction<Name> {
  const parameters = Object.values(declaration.parameters);
  const types: WasmType[] = [];
  const variables = {
    ...numbered(declaration.parameters, types),
    ...numbered(declaration.locals, types),
  };
  return {
    name: declaration.name,
    parameters,
    locals: types.slice(parameters.length),
    body: () => declaration.body(variables),
  };
}

/** Numbers variables in the order of their declaration; `types` are those that have a number already. */
function numbered<Types extends WasmType | Declared | readonly (WasmType | Declared)[]>(
  declared: Types,
  types: WasmType[],
): Variables<Types> {
  const made =
    typeof declared === 'string'
      ? variable(types.push(declared) - 1)
      : Array.isArray(declared)
        ? declared.map((each) => numbered(each, types))
        : Object.fromEntries(Object.entries(declared).map(([name, each]) => [name, numbered(each, types)]));
  return made as Variables<Types>;
}

function variable(index: number): Variable {
  const number = unsigned(index);
  return {
    get: [0x20, ...number],
    set: (value) => [...value, 0x21, ...number],
    tee: (value) => [...value, 0x22, ...number],
  };
}

/** Whether the place `at` lies before `end`. */
export function below(at: Variable, end: Variable): Code {
  return op('i32.lt_u', at.get, end.get);
}

export function advance(at: Variable, by: Code | number): Code {
  return at.set(op('i32.add', at.get, typeof by === 'number' ? i32(by) : by));
}
