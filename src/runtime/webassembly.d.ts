// Node has WebAssembly, but its types are part of the DOM library, which has no place in the host.
declare namespace WebAssembly {
  type Module = object;
  const Module: new (bytes: Uint8Array<ArrayBuffer>) => Module;
  interface Instance {
    readonly exports: object;
  }
  const Instance: new (module: Module, imports?: Imports) => Instance;
  type Imports = Readonly<Record<string, object>>;
  function validate(bytes: Uint8Array<ArrayBuffer>): boolean;
  function compile(bytes: Uint8Array): Promise<Module>;
}
