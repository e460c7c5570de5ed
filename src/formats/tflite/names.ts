/** Makes names unique by counting: `conv`, `conv_2`, `conv_3`. Each name costs the same, however many are alike. */
export class Names {
  readonly #taken = new Set<string>();
  readonly #next = new Map<string, number>();

  unique(base: string): string {
    let name = base;
    let suffix = this.#next.get(base) ?? 2;
    for (; this.#taken.has(name); suffix += 1) name = `${base}_${suffix}`;
    this.#next.set(base, suffix);
    this.#taken.add(name);
    return name;
  }
}
