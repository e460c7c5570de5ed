// Node has WebAssembly, but its types are part of the DOM library, which has no place in the host.
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>);
  }
  class Instance {
    constructor(module: Module, imports?: Imports);
    readonly exports: object;
  }
  type Imports = Readonly<Record<string, object>>;
  function validate(bytes: Uint8Array<ArrayBuffer>): boolean;
  function compile(bytes: Uint8Array): Promise<Module>;
}
