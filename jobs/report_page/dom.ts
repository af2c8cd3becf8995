/// <reference lib="dom" />
/** Elements of the page. Texts go in as text alone, so that no name becomes markup. */

import { plainText } from "../unit_text.ts";

/** The element of the page with that id, which is there. */
export function byId(id: string): HTMLElement {
  return document.getElementById(id)!;
}

export function input(id: string): HTMLInputElement {
  return document.querySelector<HTMLInputElement>(`input#${id}`)!;
}

export function select(id: string): HTMLSelectElement {
  return document.querySelector<HTMLSelectElement>(`select#${id}`)!;
}

export function canvas(id: string): HTMLCanvasElement {
  return document.querySelector<HTMLCanvasElement>(`canvas#${id}`)!;
}

export function make<K extends keyof HTMLElementTagNameMap>(tag: K, text = "", className = ""): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.textContent = plainText(text);
  if (className !== "") element.className = className;
  return element;
}

export function button(text: string, onClick: () => void, className = ""): HTMLButtonElement {
  const element = make("button", text, className);
  element.type = "button";
  element.addEventListener("click", onClick);
  return element;
}

export function setOptions(element: HTMLSelectElement, options: readonly (readonly [value: string, text: string])[]): void {
  element.replaceChildren(...options.map(([value, text]) => {
    const option = make("option", text);
    option.value = value;
    return option;
  }));
}

/** A name with its end left out where it is long: names may have thousands of characters. */
export function shortName(name: string, max: number): string {
  const text = plainText(name);
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`;
}
