const SVG = 'http://www.w3.org/2000/svg';

/** The element of an id; the page's own HTML has it. */
export function byId<Kind extends HTMLElement = HTMLElement>(id: string): Kind {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`The page has no #${id}.`);
  return element as Kind;
}

/** A new element with a class and a text; texts of messages are only ever set as text, never as HTML. */
export function make<Name extends keyof HTMLElementTagNameMap>(name: Name, className = '', text = ''): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  if (className !== '') element.className = className;
  if (text !== '') element.textContent = text;
  return element;
}

/** A line drawing of 24 by 24. */
export function makeIcon(path: string): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const line = document.createElementNS(SVG, 'path');
  line.setAttribute('d', path);
  svg.append(line);
  return svg;
}

/** Makes `children` the children of `parent`, in order. What stands right is not touched, so that it keeps the focus. */
export function arrange(parent: Element, children: readonly Element[]): void {
  const wanted = new Set(children);
  const unwanted = Array.from(parent.children).filter((child) => !wanted.has(child));
  for (const child of unwanted) child.remove();
  let next = parent.firstElementChild;
  for (const child of children) {
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
}

/** Puts the focus on the whole of the content, when what had it is gone. Nothing moves on the screen. */
export function focusContent(): void {
  byId('content').focus({ preventScroll: true });
}

/** Says something to screen readers. */
export function announce(text: string): void {
  const announcer = byId('announcer');
  announcer.textContent = '';
  // The same words twice are said twice only when the region was empty in between.
  requestAnimationFrame(() => (announcer.textContent = text));
}
