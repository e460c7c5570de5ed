import { append, applyOptions, type ElementOptions } from '../dom.ts';

/** What the toolkit's elements have in common with those of the DOM. */
interface ControlElement extends HTMLElement {
  value: string;
  checked: boolean;
  disabled: boolean;
  activeid: string | undefined;
}

export function make(
  tag: string,
  options: ElementOptions,
  ...children: readonly (Node | string)[]
): ControlElement {
  const element = document.createElement(tag) as ControlElement;
  applyOptions(element, options);
  append(element, children);
  return element;
}
